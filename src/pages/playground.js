// GANs on points in the plane while they train: what they draw, what D thinks of every place, where G is pushed.
import { events, send, ServerError, throttle } from "./api.js";
import { choice, field } from "./controls.js";
import { button, color, drawPlots, element, figure, number, paragraph, plot } from "./pieces.js";

export const title = "Playground";

const mostFrames = 400, framesPerSecond = 15, size = 520;
const lossNames = { bce: "Cross entropy", least_squares: "Least squares", hinge: "Hinge", relativistic: "Relativistic",
  wasserstein: "Wasserstein" };

const hues = ["blue", "orange", "green", "purple"];

/** A colour of the page as [r, g, b]. */
function rgb(name) {
  const context = element("canvas", { width: 1, height: 1 }).getContext("2d");
  context.fillStyle = color(name);
  context.fillRect(0, 0, 1, 1);
  return [...context.getImageData(0, 0, 1, 1).data].slice(0, 3);
}

/** Draws D's plane: blue where it expects drawn points, orange where it expects real ones. */
function paintPlane(context, plane, grid) {
  const small = element("canvas", { width: grid, height: grid }), image = new ImageData(grid, grid);
  const [low, middle, high] = ["blue", "card", "orange"].map(rgb);
  plane.forEach((value, i) => {
    const end = value < 0.5 ? low : high, share = Math.abs(2 * value - 1) * 0.7;
    for (let k = 0; k < 3; ++k) image.data[4 * i + k] = middle[k] + share * (end[k] - middle[k]);
    image.data[4 * i + 3] = 255;
  });
  small.getContext("2d").putImageData(image, 0, 0);
  context.drawImage(small, 0, 0, size, size);
}

/** An arrow from (x, y) whose length tells the push's: long ones are shortened, so that all fit. */
function paintArrow(context, x, y, dx, dy) {
  const push = Math.hypot(dx, dy), length = 0.16 * size * push / (push + 1);
  if (length < 2) return;
  const [cos, sin] = [dx / push, dy / push], [toX, toY] = [x + length * cos, y + length * sin];
  context.moveTo(x, y);
  context.lineTo(toX, toY);
  for (const side of [-1, 1]) {
    context.moveTo(toX, toY);
    context.lineTo(toX - 5 * cos + 3 * side * sin, toY - 5 * sin - 3 * side * cos);
  }
}

/** D's output on the cell of a point. */
function judged({ range: [low, high], grid }, plane, x, y) {
  const cell = value => Math.max(0, Math.min(grid - 1, Math.floor(grid * (value - low) / (high - low))));
  return plane[(grid - 1 - cell(y)) * grid + cell(x)];
}

/** How strongly the loss pushes samples that D takes for real, and the others: means, or null for none. */
function pushes(head, { plane, arrows }) {
  const mean = list => (list.length ? list.reduce((sum, [, , dx, dy]) => sum + Math.hypot(dx, dy), 0) / list.length : null);
  const [real, drawn] = [true, false].map(wanted => arrows.filter(([x, y]) => judged(head, plane, x, y) > 0.5 === wanted));
  return { share: real.length / arrows.length, real: mean(real), drawn: mean(drawn) };
}

/** A world: the plane of one loss. */
function world(loss) {
  const canvas = element("canvas", { role: "img", width: size, height: size }), about = paragraph("");
  const draw = (head, step, run) => {
    const context = canvas.getContext("2d"), [low, high] = head.range, range = (high - low) / 2;
    const place = (x, y) => [size * (x - low) / (high - low), size * (high - y) / (high - low)];
    paintPlane(context, run.plane, head.grid);
    const dots = (points, hue, radius) => {
      context.fillStyle = color(hue);
      for (const [x, y] of points) {
        context.beginPath();
        context.arc(...place(x, y), radius, 0, 7);
        context.fill();
      }
    };
    dots(head.real, "green", 1.7);
    dots(run.points, "text", 2.2);
    context.strokeStyle = color("red");
    context.lineWidth = 1.3;
    context.beginPath();
    for (const [x, y, dx, dy] of run.arrows) paintArrow(context, ...place(x, y), range * dx, -range * dy);
    context.stroke();
    const { share, real, drawn } = pushes(head, run), say = value => (value === null ? "–" : value.toFixed(2));
    about.textContent = `D takes ${Math.round(100 * share)}% of the samples for real. `
      + `Mean push on these: ${say(real)}, on the others: ${say(drawn)}.`;
    canvas.ariaLabel = `${lossNames[loss] ?? loss} at step ${number(step)}. ${about.textContent}`;
  };
  return { box: figure(lossNames[loss] ?? loss, canvas, about), draw };
}

/** By D's output s before any Sigmoid: how strongly a loss pushes a sample to where s is higher. */
const pulls = { bce: s => 1 / (1 + Math.exp(s)), least_squares: s => 1 - s, hinge: () => 1, wasserstein: () => 1 };

function pullPlot(losses) {
  const x = Array.from({ length: 81 }, (_, i) => (i - 40) / 10);
  const series = losses.map((loss, i) => ({ label: lossNames[loss], hue: hues[i % hues.length], x, y: pulls[loss] && x.map(pulls[loss]) }));
  return plot("What the losses ask for", series,
    { xTitle: "D's output before any Sigmoid", note: "The push on a sample for each unit of D's slope; below 0 it goes back." });
}

const signs = { real: "real points", drawn: "points that G draws", high: "D: real here", low: "D: drawn here", push: "where G is pushed" };
const legend = () => element("ul", { className: "legend" },
  ...Object.entries(signs).map(([className, text]) => element("li", {}, element("i", { className }), text)));

export async function show(main, parts) {
  const [data = "ring8", losses = "bce,least_squares", seed = "1"] = parts, [left, right = ""] = losses.split(",");
  const sets = ["ring8", "grid25", "circle"], names = Object.entries(lossNames);
  const source = element("input", { type: "text", value: data, required: true, autocomplete: "off", spellcheck: false });
  const offered = element("datalist", { id: "point-sets" }, ...sets.map(value => element("option", { value })));
  source.setAttribute("list", offered.id);
  const first = choice(names), second = choice([["", "none"], ...names]);
  first.value = left in lossNames ? left : "bce";
  second.value = right in lossNames ? right : "";
  const seedInput = element("input", { type: "number", min: 0, value: seed });
  const steps = choice([1000, 3000, 10000, 30000]), every = choice([[5, "slow"], [25, "normal"], [100, "fast"]]);
  steps.value = 3000;
  every.value = 25;
  const said = element("p", { className: "problem", role: "alert" }), state = element("p", { className: "quiet", role: "status" });
  const worlds = element("div", { className: "worlds" }), curves = element("div", { className: "row" });
  const player = framePlayer(frame => drawFrame(frame)), stop = button("Stop", () => finish("Training was stopped."));
  const form = element("form", { noValidate: true }, element("div", { className: "fields" },
    field("Points", source, "ring8, grid25, circle, or a file of two columns below the root"), field("Loss", first),
    field("Beside it", second), field("Seed", seedInput, "the first weights and batches of both"),
    field("Steps", steps), field("Speed", every)), offered,
  element("div", { className: "actions" }, element("button", { type: "submit", className: "strong" }, "Start"), stop));
  main.append(element("h1", {}, title),
    paragraph("Two GANs learn to draw points. They start from the same weights and see the same batches; only the loss differs. "
      + "Cross entropy pushes a sample the less, the surer D is that it is real, and never back; least squares pulls it to where D "
      + "says 1, also back from beyond. Look for it in the first few hundred steps, while samples overshoot the data."),
    form, said, state, legend(), player.box, worlds, curves);

  let close = null, settle = null, head = null, plots = [], views = [];
  function finish(text) {
    close?.();
    settle?.();
    close = settle = null;
    stop.disabled = true;
    state.textContent = text;
  }
  const drawFrame = frame => frame.runs.forEach((run, i) => views[i].draw(head, frame.step, run));
  const series = key => head.losses.map((loss, i) => ({ label: lossNames[loss] ?? loss, hue: hues[i % hues.length],
    x: player.frames.map(({ step }) => step), y: player.frames.map(({ runs }) => runs[i][key]) }));
  const drawCurves = throttle(() => {
    if (!curves.isConnected || player.frames.length < 2) return;
    if (plots.length) return plots.forEach(([each, key]) => each.update(series(key)));
    plots = [["G's loss", "loss_g"], ["D's loss", "loss_d"]].map(([name, key]) => [plot(name, series(key)), key]);
    curves.replaceChildren(...plots.map(([each]) => each.box), ...[pullPlot(head.losses)?.box].filter(Boolean));
    drawPlots();
  }, 400);

  /** Begins anew; done with the first frame, or when it is refused. */
  const start = () => new Promise(resolve => {
    finish("");
    settle = resolve;
    said.textContent = "";
    const asked = [first.value, second.value].filter(Boolean).join(",");
    const points = source.value.trim();
    const query = new URLSearchParams({ [sets.includes(points) ? "data" : "points"]: points, loss: asked, seed: seedInput.value,
      steps: steps.value, every: every.value });
    const path = "/v1/playground?" + query;
    history.replaceState(null, "", "#/playground/" + [points, asked, seedInput.value].map(encodeURIComponent).join("/"));
    const refuse = text => {
      finish("");
      said.textContent = text;
    };
    let begun = false;
    stop.disabled = false;
    state.textContent = "Training …";
    close = events(path, {
      frame: line => {
        if (line.range) {  // the data: the first line, also when a lost connection begins anew
          head = line;
          begun = true;
          plots = [];
          views = line.losses.map(world);
          worlds.replaceChildren(...views.map(view => view.box));
          curves.replaceChildren();
          player.clear();
          return;
        }
        player.add(line);
        drawCurves();
        resolve();
      },
      end: line => (line?.error ? refuse(line.error) : finish("Training is over; the slider goes through it.")),
      // An event source does not tell why it was refused: ask again, as a request.
      error: async line => {
        if (line?.error) return refuse(line.error);
        if (begun) return;
        const asking = new AbortController();
        try {
          await send("GET", path, null, { signal: asking.signal });
          asking.abort();
        } catch (error) {
          if (error instanceof ServerError && error.status) refuse(error.message);
        }
      },
    });
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    start();
  });
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const repaint = () => player.show();
  dark.addEventListener("change", repaint);
  await start();
  return () => {
    close?.();
    player.pause();
    dark.removeEventListener("change", repaint);
  };
}

/** Plays frames as they come, and shows past ones. */
function framePlayer(draw) {
  const frames = [], range = element("input", { type: "range", min: 0, max: 0, value: 0, ariaLabel: "step" }), step = element("output");
  let timer = 0;
  const show = () => {
    if (frames.length === 0) return;
    const frame = frames[range.value];
    draw(frame);
    step.textContent = range.ariaValueText = "step " + number(frame.step);
  };
  const pause = () => {
    clearInterval(timer);
    timer = 0;
    toggle.textContent = "Play";
  };
  const play = () => {
    clearInterval(timer);
    toggle.textContent = "Pause";
    timer = setInterval(() => {
      if (+range.value >= frames.length - 1) return;  // more may come
      range.value = +range.value + 1;
      show();
    }, 1000 / framesPerSecond);
  };
  const toggle = button("Play", () => {
    if (timer) return pause();
    if (+range.value === frames.length - 1) range.value = 0;
    show();
    play();
  });
  range.addEventListener("input", () => {
    pause();
    show();
  });
  const add = frame => {
    frames.push(frame);
    if (frames.length > mostFrames) {
      frames.shift();
      range.value = range.value - 1;
    }
    range.max = frames.length - 1;
    if (frames.length > 1) return;
    show();
    if (!matchMedia("(prefers-reduced-motion: reduce)").matches) play();  // else frames move when they are asked to
  };
  const clear = () => {
    frames.length = 0;
    range.value = range.max = 0;
  };
  return { box: element("div", { className: "slider" }, toggle, range, step), frames, add, clear, show, pause };
}
