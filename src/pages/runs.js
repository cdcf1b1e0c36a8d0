// The runs below the studio's root, a card for each.
import { events, get, throttle } from "./api.js";
import { badge } from "./controls.js";
import { counted, element, number, paragraph } from "./pieces.js";

export const title = "Runs";

export async function show(main, parts, { server }) {
  const cards = new Map();
  const grid = element("div", { className: "cards" });
  const none = paragraph("There are no runs yet.", "quiet");
  const compare = element("a", { className: "button", role: "link" });
  const choose = () => {
    const chosen = [...cards].filter(([, card]) => card.check.checked).map(([name]) => name);
    const enough = chosen.length > 1;
    compare.textContent = enough ? `Compare ${chosen.length} runs` : "Choose two runs or more to compare";
    compare.ariaDisabled = String(!enough);
    if (enough) compare.href = "#/compare/" + chosen.map(encodeURIComponent).join("/");
    else compare.removeAttribute("href");
  };
  const refresh = async () => {
    const { runs } = await get("/v1/runs");
    const live = run => run.state === "training";  // those are always modified: their names keep them in order
    runs.sort((a, b) => live(b) - live(a) || (live(a) ? a.name.localeCompare(b.name) : b.modified - a.modified));
    for (const name of [...cards.keys()].filter(name => !runs.some(run => run.name === name))) {
      cards.get(name).box.remove();
      cards.delete(name);
    }
    runs.forEach((run, index) => {
      if (!cards.has(run.name)) cards.set(run.name, card(run.name, choose));
      const { box, draw } = cards.get(run.name);
      draw(run);
      if (grid.children[index] !== box) grid.insertBefore(box, grid.children[index] ?? null);
    });
    none.hidden = runs.length > 0;
    choose();
  };
  await refresh();
  main.append(element("div", { className: "title" }, element("h1", {}, title), compare,
    server.read_only ? null : element("a", { className: "button strong", href: "#/start" }, "New run")), none, grid);
  const soon = throttle(() => refresh().catch(() => {}), 300);  // a lost server is the shell's to tell
  return events("/v1/events", { open: soon, runs: soon });
}

/** The names of files and folders without the paths to them. */
const lastParts = data => data.split(",").map(path => path.split("/").filter(Boolean).at(-1) ?? path).join(",");

/** A run's card; `draw` shows it as it is now. */
function card(name, chosen) {
  const img = element("img", { alt: "" });  // what it shows is the run, which the link names
  const state = badge("");
  const check = element("input", { type: "checkbox", onchange: chosen, ariaLabel: "Compare " + name });
  const facts = element("p", { className: "quiet" }), score = element("p"), note = element("p", { className: "problem" });
  const loss = sparkline(), small = element("div", { className: "small" }, img, loss.box);
  const box = element("article", {},
    element("h2", {}, element("a", { href: "#/runs/" + encodeURIComponent(name) }, name)),
    element("label", { className: "choose" }, check, "compare"),
    element("p", {}, state.box), small, facts, score, note);
  const draw = run => {
    img.hidden = !run.picture;
    if (run.picture && img.getAttribute("src") !== run.picture) img.src = run.picture;
    state.say(run.state);
    facts.title = run.data ?? "";
    facts.textContent = [[run.preset, run.data && lastParts(run.data)].filter(Boolean).join(" on "),
      run.steps ? `step ${number(run.steps)}` + (run.total_steps ? ` of ${number(run.total_steps)}` : "") : "no step yet"]
      .filter(Boolean).join(", ");
    score.textContent = typeof run.score === "number"
      ? `score ${number(run.score)}, best ${number(run.best)} at step ${number(run.best_step)}` : "";
    note.textContent = [run.error, run.warnings && counted(run.warnings, "warning")].filter(Boolean).join("; ");
    for (const line of [score, note]) line.hidden = line.textContent === "";
    loss.draw(run.loss);
    small.hidden = !run.picture && run.loss.step.length === 0;
  };
  return { box, check, draw };
}

/** A small picture of both losses. */
function sparkline() {
  const shape = (tag, attributes, ...children) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    node.append(...children);
    return node;
  };
  const lines = { d: shape("polyline", { class: "d" }), g: shape("polyline", { class: "g" }) };
  const box = shape("svg", { viewBox: "0 0 100 40", preserveAspectRatio: "none", role: "img" }, ...Object.values(lines));
  const draw = loss => {
    const all = [...loss.g, ...loss.d].filter(Number.isFinite);
    box.toggleAttribute("hidden", all.length === 0);
    const low = Math.min(...all), height = Math.max(...all) - low || 1, first = loss.step[0], width = loss.step.at(-1) - first || 1;
    for (const [name, line] of Object.entries(lines)) {
      line.setAttribute("points", loss.step.map((step, i) => [step, loss[name][i]]).filter(([, y]) => Number.isFinite(y))
        .map(([x, y]) => `${(100 * (x - first) / width).toFixed(1)},${(38 - 36 * (y - low) / height).toFixed(1)}`).join(" "));
    }
    box.setAttribute("aria-label", `losses: generator ${number(loss.g.at(-1))}, discriminator ${number(loss.d.at(-1))}`);
  };
  return { box, draw };
}
