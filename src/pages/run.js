// One run, as it trains: what its report shows, and what can be done with it.
import { address, del, events, get, post, ServerError, throttle } from "./api.js";
import { attempt, badge, duration, lengthFields } from "./controls.js";
import { button, code, element, number } from "./pieces.js";
import { drawRun } from "./sections.js";

export const title = "Run";

export async function show(main, [name], { server }) {
  const path = address("runs", name);
  let run = await get(path);
  const { report } = run;
  const state = badge(run.state);
  const bar = element("progress", { max: 1, ariaLabel: "Training" });
  const facts = element("span", { className: "quiet" });
  const problem = element("p", { className: "note" });
  const log = code(run.log), details = element("details", {}, element("summary", {}, "Output"), log);
  const nav = element("nav", { ariaLabel: "Sections" }), body = element("div");
  const control = controls(name, path, server);

  const redraw = () => {
    const { step, elapsed_seconds: times } = report.metrics ?? {};
    const steps = Math.max(run.steps, step?.at(-1) ?? 0, report.steps), time = Math.max(run.time, times?.at(-1) ?? 0);
    const share = run.total_time ? time / run.total_time : run.total_steps ? steps / run.total_steps : null;
    state.say(run.state);
    bar.hidden = run.state !== "training" || share === null;
    if (share !== null) bar.value = Math.min(1, share);
    facts.textContent = `step ${number(steps)}` + (run.total_steps ? ` of ${number(run.total_steps)}` : "")
      + `, ${duration(time)}` + (run.total_time ? ` of ${duration(run.total_time)}` : "");
    report.steps = steps;
    if (time) report.trained_for = duration(time);
    problem.hidden = !run.error;
    problem.textContent = run.error;
    details.hidden = !run.log;
    log.textContent = run.log;
    control.draw(run);
  };
  redraw();
  main.append(element("h1", {}, name),
    element("p", { className: "state" }, element("span", { role: "status" }, state.box), bar, facts),
    problem, control.box, details, nav, body);
  const draw = drawRun(body, nav, report);

  // Events are gathered, then drawn at once.
  const changed = new Set(["summary"]);
  const soon = throttle(() => {
    redraw();
    draw(report, [...changed]);
    changed.clear();
    changed.add("summary");
  }, 400);
  const change = section => {
    changed.add(section);
    soon();
  };
  const again = async evaluated => {
    try {
      run = await get(path);
    } catch {
      return;  // the stream tells of it when it goes on
    }
    if (evaluated) {
      const fresh = png => png && png + "?" + Date.now();  // else the browser shows the pictures that it has
      const { eval: scores, eval_samples: scored, neighbours } = run.report;
      Object.assign(report, { eval: scores, eval_samples: fresh(scored), neighbours: fresh(neighbours) });
      ["evaluation", "neighbours", "confusion", "classes"].forEach(change);
    }
    Object.assign(report, { facts: run.report.facts, notes: run.report.notes, class_names: run.report.class_names });
    soon();
  };
  const awaitModel = throttle(() => again(false), 3000);
  return events(`${path}/events?after=${report.metrics?.step.at(-1) ?? -1}`, {
    metrics: line => {
      if (!run.has_model) awaitModel();
      if (addLine(report, "metrics", line)) change("curves");
    },
    reset: () => {  // training goes on from an earlier step: the lines come anew
      Object.assign(report, { metrics: report.metrics && { step: [] }, scores: report.scores && { step: [] }, warnings: [], steps: 0 });
      again(false);
    },
    score: line => addLine(report, "scores", line) && change("scores"),
    picture: picture => {
      const { pictures } = report.samples;
      if (picture.step <= (pictures.at(-1)?.step ?? -1)) return;
      pictures.push(picture);
      change("samples");
    },
    warning: ({ step, text }) => {
      if (report.warnings.some(each => each.step === step && each.text === text)) return;
      report.warnings.push({ step, text });
      soon();
    },
    state: ({ state, error }) => (state !== run.state || (error ?? null) !== (run.error ?? null)) && again(false),
    evaluation: () => again(true),
  });
}

/** Adds a line to a table of columns, unless it was there: a stream may begin anew. */
function addLine(report, name, line) {
  const lines = report[name] ??= { step: [] }, count = lines.step.length;
  if (count && line.step <= lines.step[count - 1]) return false;
  for (const [key, value] of Object.entries(line)) if (typeof value === "number") lines[key] ??= Array(count).fill(null);
  for (const [key, column] of Object.entries(lines)) if (Array.isArray(column)) column.push(line[key] ?? null);
  if (line.missing) lines.missing = line.missing;
  return true;
}

/** What can be done with a run: draw, stop, resume, evaluate. */
function controls(name, path, server) {
  const said = element("p", { className: "problem", role: "alert" });
  const act = (text, action) => {
    const self = button(text, () => attempt(self, said, action));
    return self;
  };
  const link = element("a", { className: "button", href: "#/draw/" + encodeURIComponent(name) }, "Draw with it");
  const stop = act("Stop", () => post(path + "/stop"));
  const more = lengthFields("as planned");
  const resume = element("div", { className: "resume" }, more.box, act("Resume", () => post(path + "/resume", more.value())));
  const bar = element("progress", { max: 1, ariaLabel: "Evaluation" }), message = element("span", { role: "status" });
  let job = null;
  const cancel = act("Cancel", () => del(job));
  const judging = element("div", { className: "state", hidden: true }, bar, message, cancel);
  const evaluate = act("Evaluate", async () => {
    const { id } = await post("/v1/jobs", { kind: "evaluate", run: name });
    job = address("jobs", id);
    judging.hidden = false;
    try {
      await finished(job, bar, message);
    } finally {
      judging.hidden = true;
    }
  });
  const draw = run => {
    link.hidden = evaluate.hidden = !run.has_model;
    stop.hidden = run.state !== "training";
    resume.hidden = run.state === "training";
  };
  const actions = element("div", { className: "actions" }, link, ...(server.read_only ? [] : [stop, evaluate, resume]));
  return { box: element("div", {}, actions, judging, said), draw };
}

/** Watches a job until it is over; throws what it failed for. */
async function finished(path, bar, message) {
  for (;;) {
    const { state, position, progress, message: text, error } = await get(path);
    if (state === "failed") throw new ServerError(error || text || "The evaluation failed.", 200);
    if (state === "done" || state === "cancelled" || !bar.isConnected) return;
    if (progress === null) bar.removeAttribute("value");
    else bar.value = progress;
    message.textContent = state === "waiting" ? `waiting, number ${number(position)} in the queue` : text || "running";
    await new Promise(resolve => setTimeout(resolve, 1000));
  }
}
