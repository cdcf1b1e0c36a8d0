"use strict";
// Draws the report from the JSON block `data`, which cli/report_data.cpp writes. Text is never inserted as HTML.

const errors = [];

/** Notes an error and shows the first one on the page. */
function fail(message) {
  errors.push(String(message));
  const place = document.getElementById("failure");
  place.hidden = false;
  place.textContent = "A part of this report could not be drawn: " + errors[0];
}
window.addEventListener("error", event => fail(event.message));
document.addEventListener("securitypolicyviolation", event => fail("blocked: " + event.blockedURI));

const data = JSON.parse(document.getElementById("data").textContent);

// ---- elements ----

/** A new element with these properties; children are elements or text, null is skipped. */
function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter(child => child !== null));
  return node;
}
const section = id => document.getElementById(id);
const row = (...children) => element("div", { className: "row" }, ...children);
const paragraph = (text, className = "") => element("p", { className }, text);

/** Shows the reason for missing data, and the command that makes it. */
function missing(id, text, command) {
  section(id).append(paragraph(text), ...(command ? [element("pre", {}, command)] : []));
}

function number(value) {
  if (typeof value !== "number") return String(value ?? "–");
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
/** A number with its noun in singular or plural. */
const counted = (value, noun) => number(value) + " " + noun + (value === 1 ? "" : "s");
const percent = value => (typeof value === "number" ? (100 * value).toFixed(1) + "%" : "–");
const className = index => data.class_names[index] ?? String(index);

/** A table; the first cell of a row is its heading, numbers are aligned to the right. */
function table(heading, rows) {
  const cell = (value, index) => element(index === 0 ? "th" : "td",
    { className: typeof value === "number" ? "number" : "" }, typeof value === "number" ? number(value) : value);
  const head = heading.length === 0 ? null : element("thead", {}, element("tr", {}, ...heading.map((text, index) =>
    element("th", { className: rows.some(cells => typeof cells[index] === "number") ? "number" : "" }, text))));
  const body = element("tbody", {}, ...rows.map(cells => element("tr", {}, ...cells.map(cell))));
  return element("div", { className: "scroll" }, element("table", {}, ...(head ? [head] : []), body));
}

/** An enlarged image of base64 PNG data, with the names of its rows beside it. */
function picture(base64, alt, labels = []) {
  const img = element("img", { alt, src: "data:image/png;base64," + base64 });
  img.addEventListener("error", () => fail(alt + ": the picture cannot be decoded"));
  img.addEventListener("load", () => {
    const scale = Math.min(3, Math.max(1, 480 / img.naturalWidth));
    img.style.width = scale * img.naturalWidth + "px";
    img.style.imageRendering = scale > 2 ? "pixelated" : "auto";  // few pixels look better as squares
  });
  const names = labels.map(name => element("span", { title: name }, name));
  const column = labels.length ? [element("div", { className: "labels" }, ...names)] : [];
  return { img, box: element("div", { className: "picture" }, ...column, img) };
}

const figure = (title, ...children) => element("figure", {}, element("figcaption", {}, title), ...children);

// ---- plots ----

const plots = [];  // { canvas, draw, chart }

const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

/** The series [label, color, values] that hold a number, as Chart.js takes them. */
function datasets(x, series) {
  return series.filter(([, , values]) => values?.some(Number.isFinite)).map(([label, name, values]) => ({
    label,
    data: x.map((at, i) => ({ x: at, y: values[i] })).filter(point => Number.isFinite(point.y)),
    borderColor: color(name),
    backgroundColor: color(name),
    borderWidth: 1.5,
    pointRadius: values.filter(Number.isFinite).length <= 40 ? 2.5 : 0,  // few points may not make a visible line
    pointHitRadius: 8,
  }));
}

/** A figure with lines over x, or nothing if no series holds a number. */
function plot(title, x, series, { xTitle = "step", log = false, zero = false, note = null } = {}) {
  const values = series.flatMap(([, , numbers]) => numbers ?? []).filter(Number.isFinite);
  if (values.length === 0) return null;
  const logarithmic = log && values.every(value => value > 0);
  const canvas = element("canvas", { role: "img", ariaLabel: title });
  const draw = () => new Chart(canvas, {
    type: "line",
    data: { datasets: datasets(x, series) },
    options: {
      animation: false,
      parsing: false,
      maintainAspectRatio: false,
      interaction: { mode: "index", intersect: false },
      scales: {
        x: { type: "linear", title: { display: true, text: xTitle }, ticks: { maxRotation: 0 }, beginAtZero: true },
        y: { type: logarithmic ? "logarithmic" : "linear", beginAtZero: zero, ticks: { maxTicksLimit: 8 } },
      },
      plugins: {
        legend: { display: series.length > 1, align: "start", labels: { boxWidth: 14, boxHeight: 2 } },
        decimation: { enabled: true, algorithm: "min-max" },
        tooltip: { callbacks: { title: items => xTitle + " " + number(items[0].parsed.x) } },
      },
    },
  });
  plots.push({ canvas, draw, chart: null });
  return figure(title + (logarithmic ? " (logarithmic)" : ""), element("div", { className: "plot" }, canvas),
    ...(note ? [paragraph(note)] : []));
}

function drawPlots() {
  Chart.defaults.color = color("quiet");
  Chart.defaults.borderColor = color("line");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  for (const each of plots) {
    each.chart?.destroy();
    each.chart = each.draw();
  }
}

/** The number of coloured pixels inside a plot's axes; background and grid are grey. */
function ink({ canvas, chart }) {
  const { left, top, width, height } = chart.chartArea, scale = chart.currentDevicePixelRatio;
  const pixels = canvas.getContext("2d").getImageData(left * scale, top * scale, width * scale, height * scale).data;
  let count = 0;
  for (let i = 0; i < pixels.length; i += 4) {
    const r = pixels[i], g = pixels[i + 1], b = pixels[i + 2];
    if (pixels[i + 3] > 100 && Math.max(r, g, b) - Math.min(r, g, b) > 60) ++count;
  }
  return count;
}

// ---- sections ----

function summary() {
  const { metrics, eval: scores } = data;
  const tile = (value, text) => element("div", {}, element("b", {}, value), element("span", {}, text));
  const tiles = [];
  if (data.steps) tiles.push(tile(number(data.steps), data.steps === 1 ? "step" : "steps"));
  if (data.trained_for) tiles.push(tile(data.trained_for, "of training"));
  const speeds = (metrics?.images_per_second ?? []).filter(Number.isFinite).sort((a, b) => a - b);
  if (speeds.length) tiles.push(tile(number(speeds[speeds.length >> 1]), "rows a second (median)"));
  if (typeof scores?.label_accuracy === "number") tiles.push(tile(percent(scores.label_accuracy), "label accuracy"));
  if (typeof scores?.fd === "number") tiles.push(tile(number(scores.fd), "Fréchet distance"));
  if (typeof scores?.coverage === "number") tiles.push(tile(percent(scores.coverage), "coverage"));
  section("summary").append(...data.notes.map(text => paragraph(text, "note")),
    ...data.warnings.map(({ step, text }) => paragraph(`Warning at step ${number(step)}: ${text}`, "note")),
    element("div", { className: "tiles" }, ...tiles), table([], data.facts));
}

function samples() {
  const { pictures, found } = data.samples;
  if (pictures.length === 0) return missing("samples", data.samples.why, data.hints.samples);
  const last = pictures[pictures.length - 1];
  const labels = data.samples.row_labels;
  const final = figure("After " + counted(last.step, "step"), picture(last.png, "final samples", labels).box);
  if (pictures.length === 1) {
    section("samples").append(row(final));
    return missing("samples", "This is the only picture of the run. Pictures through training:", data.hints.pictures);
  }
  const shown = picture(last.png, "samples through training", labels);
  const range = element("input", { type: "range", min: 0, max: pictures.length - 1, value: pictures.length - 1,
    ariaLabel: "step" });
  const step = element("output");
  const show = () => {
    shown.img.src = "data:image/png;base64," + pictures[range.value].png;
    step.textContent = "step " + number(pictures[range.value].step);
  };
  const button = element("button", { type: "button" }, "Play");
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (+range.value === pictures.length - 1) range.value = 0;
    button.textContent = "Pause";
    show();
    timer = setInterval(() => {
      range.value = +range.value + 1;
      show();
      if (+range.value === pictures.length - 1) stop();
    }, 300);
  });
  range.addEventListener("input", () => {
    stop();
    show();
  });
  show();
  const thinned = found > pictures.length ? ` ${pictures.length} of ${found} pictures are shown.` : "";
  section("samples").append(
    paragraph("Every picture uses the same latents." + thinned, "quiet"),
    row(figure("Through training", element("div", { className: "slider" }, button, range, step), shown.box), final));
}

function curves() {
  const m = data.metrics;
  if (!m) return missing("curves", "metrics.jsonl holds nothing: the run is shorter than train.log_every.", data.hints.log);
  section("curves").append(row(...[
    plot("Losses", m.step, [["generator", "blue", m.loss_g], ["discriminator", "orange", m.loss_d]]),
    plot("D's outputs", m.step, [["on real rows", "green", m.d_real], ["on generated rows", "purple", m.d_fake]],
      { note: "Means over the batch, as the loss sees them: probabilities after a Sigmoid, else logits." }),
    plot("Gradient norms", m.step, [["generator", "blue", m.grad_norm_g], ["discriminator", "orange", m.grad_norm_d]],
      { log: true }),
    plot("Samples beside the data", m.step, [["moved by the condition", "blue", m["watch.condition"]], ["spread in a condition", "green", m["watch.spread"]]],
      { zero: true, note: "As shares of the data's: near 0 where the condition is ignored, or samples of a condition are all alike." }),
    plot("How often D is right", m.step, [["of a real row and a sample", "orange", m["watch.d_wins"]]],
      { zero: true, note: "0.5: D cannot tell them apart; 1: it always can." }),
    plot("Lengths of the weights", m.step, [["generator", "blue", m["watch.length_g"]], ["discriminator", "orange", m["watch.length_d"]]], { log: true }),
    plot("Speed", m.step, [["rows a second", "green", m.images_per_second]], { zero: true, note: "Rows a second." }),
  ].filter(Boolean)));
}

function scoresOverTime() {
  const s = data.scores;
  if (!s) return missing("scores", "The run was not scored while it trained. To train another with scores:", data.hints.scores);
  section("scores").append(row(...[
    plot("Shares", s.step, [["label accuracy", "blue", s.label_accuracy], ["precision", "green", s.precision],
      ["recall", "purple", s.recall], ["coverage", "orange", s.coverage], ["density", "red", s.density],
      ["high quality", "red", s.high_quality]],  // of vectors, which have no density
    { zero: true, note: "Higher is better; density may exceed 1." }),
    plot("Fréchet distance", s.step, [["fd", "blue", s.fd]], { log: true, note: "Lower is better." }),
    plot("Kolmogorov-Smirnov distance", s.step, [["mean of the columns", "blue", s.ks]], { zero: true, note: "Lower is better." }),
    plot("Modes found", s.step, [["modes", "green", s.modes_found]], { zero: true }),
    plot("Score", s.step, [["score", "blue", s.score]], { zero: true, note: "One number for choosing among models: the harmonic mean of label accuracy and coverage, or of those available." }),
  ].filter(Boolean)), ...Object.entries(s.missing ?? {}).map(([key, reason]) => paragraph(`No ${key.replaceAll(/[_.]/g, " ")}: ${reason}.`, "quiet")));
}

/** A value of eval.json as rows [name, text]; objects become several rows. */
function flatten(name, value) {
  if (value === null || value === undefined) return [];
  if (Array.isArray(value)) {
    const items = value.slice(0, 20).map(item => (typeof item === "object" ? JSON.stringify(item) : number(item)));
    return [[name, items.join(", ") + (value.length > 20 ? ", …" : "")]];
  }
  if (typeof value === "object") {
    return Object.entries(value).flatMap(([key, inner]) => flatten(name + ": " + key.replaceAll("_", " "), inner));
  }
  return [[name, number(value)]];
}

function evaluation() {
  const e = data.eval;
  if (!e) return missing("evaluation", "The model was not evaluated. To score it:", data.hints.eval);
  const details = [];
  if (e.samples) details.push(counted(e.samples, "sample"));
  if (e.reference?.name) details.push("against " + e.reference.name + (e.reference.count ? ` (${counted(e.reference.count, "row")})` : ""));
  if (e.embedding) details.push("embedding " + [String(e.embedding.hash ?? "").slice(0, 12), e.embedding.width && "width " + e.embedding.width,
    e.embedding.accuracy && "accuracy " + percent(e.embedding.accuracy)].filter(Boolean).join(", "));
  if (typeof e.steps === "number") details.push("model of step " + number(e.steps));
  if (e.reference?.in_training) details.push(number(e.reference.in_training) + " of these rows are training images, too, and left out of the search for copies");
  section("evaluation").append(paragraph(details.join("; "), "quiet"));
  if (data.steps && typeof e.steps === "number" && e.steps !== data.steps) {
    section("evaluation").append(element("p", { className: "note" },
      `The model has trained on since, to step ${number(data.steps)}. To score it again: `, element("code", {}, data.hints.eval)));
  }
  const known = [
    ["label_accuracy", "label accuracy", "share of samples whose label a classifier predicts"],
    ["fd", "Fréchet distance", "between the features of samples and of data; lower is better"],
    ["precision", "precision", "share of samples that lie where the data is"],
    ["recall", "recall", "share of the data that lies where the samples are"],
    ["density", "density", "like precision, but counts near data points; may exceed 1"],
    ["coverage", "coverage", "share of the data with a sample near it"],
    ["duplicates", "duplicates", "share of samples that are nearly equal to another sample"],
    ["score", "score", "joint, for choosing among models: the harmonic mean of label accuracy and coverage, or of those available"],
  ];
  const rows = known.filter(([key]) => typeof e[key] === "number").map(([key, name, text]) => [name, number(e[key]), text]);
  const more = [["kid", "kernel distance"], ["cas", "classification accuracy score"], 
    ["memorization", "nearest training image"], ["parzen", "Parzen window"], ["modes", "modes"],
    ["ks", "Kolmogorov-Smirnov distance of columns"], ["own_label_accuracy", "label accuracy of real rows"]];
  for (const [key, name] of more) rows.push(...flatten(name, e[key]).map(([label, text]) => [label, text, ""]));
  for (const each of Array.isArray(e.numbers) ? e.numbers : [])
    rows.push([String(each.name), `${number(each.error)} ${each.unit ?? ""}`, `mean absolute error; on real data ${number(each.own_error)}`]);
  for (const pair of Array.isArray(e.correlations?.pairs) ? e.correlations.pairs : [])
    rows.push(["correlation of " + [].concat(pair.columns ?? []).join(" and "), number(pair.samples), `in the data ${number(pair.real)}`]);
  for (const each of (Array.isArray(e.columns) ? e.columns : []).slice(0, 40))
    rows.push([`column ${each.name}`, number(each.ks), "Kolmogorov-Smirnov distance of the distributions"]);
  const names = Object.fromEntries([...known, ...more]);
  for (const [key, reason] of Object.entries(e.missing ?? {})) rows.push([names[key] ?? key.replaceAll(/[_.]/g, " "), "–", reason]);
  section("evaluation").append(table(["", "value", ""], rows), ...(e.notes ?? []).map(text => paragraph(text, "quiet")));
  const curve = e.fd_curve ?? [];
  const figures = [
    plot("Fréchet distance by number of samples", curve.map(point => point.samples), [["fd", "blue", curve.map(point => point.fd)]],
      { xTitle: "samples", note: "Small counts overstate it; where the line is flat, the count suffices." }),
    data.eval_samples && figure("Samples that were scored", picture(data.eval_samples, "samples that were scored").box),
  ].filter(Boolean);
  if (figures.length) section("evaluation").append(row(...figures));
}

function neighbours() {
  if (!data.neighbours) return missing("neighbours", "No neighbours were looked for. To find them:", data.hints.eval);
  section("neighbours").append(
    paragraph("Each sample with the nearest image of the training data to its right. Equal pairs show that the model copies its data.", "quiet"),
    row(figure("Pairs of a sample and its neighbour", picture(data.neighbours, "samples and their nearest neighbours").box)));
}

/** Rows as shares of their sums. */
const shares = matrix => matrix.map(counts => {
  const sum = counts.reduce((a, b) => a + b, 0);
  return counts.map(count => (sum > 0 ? count / sum : 0));
});

function confusion() {
  const matrix = data.eval?.confusion;
  if (!matrix) return missing("confusion", "No confusion matrix was made. To make it:", data.hints.eval);
  section("confusion").append(paragraph("Rows: the class that a sample was drawn for. Columns: the class that a classifier predicted. "
    + "The stronger the colour, the larger the share of the row.", "quiet"));
  const share = shares(matrix);
  if (matrix.length > 30) {  // a table of so many cells would be slow and unreadable
    const canvas = element("canvas", { className: "cells", width: matrix.length, height: matrix.length });
    const context = canvas.getContext("2d");
    share.forEach((values, y) => values.forEach((value, x) => {
      context.fillStyle = `rgba(${color("accent-rgb")}, ${value})`;
      context.fillRect(x, y, 1, 1);
    }));
    section("confusion").append(canvas);
    return;
  }
  const names = matrix.map((_, index) => className(index));
  const long = names.some(name => name.length > 4) ? "long" : "";
  const head = element("tr", {}, element("th"), ...names.map(name => element("th", {}, element("span", { className: long }, name))));
  const rows = matrix.map((counts, y) => element("tr", {}, element("th", { scope: "row" }, names[y]), ...counts.map((count, x) => {
    const cell = element("td", { className: share[y][x] > 0.55 ? "strong" : "", title: `drawn for ${names[y]}, predicted ${names[x]}: ${percent(share[y][x])}` },
      count === 0 ? "" : number(count));
    cell.style.background = `rgba(var(--accent-rgb), ${share[y][x]})`;
    return cell;
  })));
  section("confusion").append(element("div", { className: "scroll" },
    element("table", { className: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows))));
}

function classes() {
  const list = data.eval?.per_class;
  if (!list?.length) return missing("classes", "The classes were not scored. To score them:", data.hints.eval);
  const share = data.eval.confusion ? shares(data.eval.confusion) : [];
  const rows = list.map((each, index) => {
    const others = (share[index] ?? []).map((value, k) => [value, k]).filter(([value, k]) => k !== index && value > 0);
    const [value, predicted] = others.sort((a, b) => b[0] - a[0])[0] ?? [];
    const name = typeof each.class === "number" ? className(each.class) : String(each.name ?? each.class ?? className(index));
    return [name, percent(each.accuracy), number(each.fd), value ? `${className(predicted)} (${percent(value)})` : "–"];
  });
  section("classes").append(table(["class", "label accuracy", "Fréchet distance", "most frequent wrong class"], rows));
}

function command() {
  if (data.commands) section("command").append(element("pre", {}, data.commands));
  else missing("command", "command.txt, which holds the run's command, is missing. To train another with the same values:", data.hints.again);
}

// ---- the page ----

document.title = "Report of " + data.name;
section("title").textContent = data.name;
section("subtitle").textContent = data.summary + ", in " + data.run;
section("footer").textContent = "Written by gan " + data.version + ". Plots by Chart.js " + (window.Chart?.version ?? "") + " (MIT license).";
section("configuration").append(element("pre", {}, data.config));
// Sections that this kind of model never has, or that its evaluation could not fill.
const without = {
  neighbours: data.vectors || (data.eval && !data.neighbours),
  confusion: !data.conditional || (data.eval && !data.eval.confusion),
  classes: !data.conditional || (data.eval && !data.eval.per_class),
};
for (const [id, gone] of Object.entries(without)) if (gone) section(id).remove();

for (const part of [summary, samples, curves, scoresOverTime, evaluation, neighbours, confusion, classes, command, drawPlots]) {
  try {
    if (!without[part.name]) part();
  } catch (error) {
    fail(part.name + ": " + error.message);
  }
}
document.querySelector("nav").append(...[...document.querySelectorAll("section")].map(each =>
  element("a", { href: "#" + each.id }, each.querySelector("h2").textContent)));
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawPlots);

// For tests: the errors, and the number of coloured pixels in each plot.
window.addEventListener("load", () => {
  const page = document.documentElement.dataset;
  try {
    page.ink = plots.map(ink).join(" ");
  } catch (error) {
    fail("ink: " + error.message);
  }
  page.pictures = [...document.images].filter(img => img.complete && img.naturalWidth > 0).length + "/" + document.images.length;
  page.errors = errors.join(" | ");
  page.status = errors.length ? "failed" : "drawn";
});
