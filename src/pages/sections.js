// The sections of a run, for its report and its page in the studio. Their data is what runs/report_data.cpp writes.
import { code, color, counted, drawPlots, element, fail, figure, number, paragraph, percent } from "./pieces.js";
import { picture, pictureSource, plot, row, slider, table } from "./pieces.js";

// Sections: id, heading, and a function that fills the box. If that returns a function, it draws the
// section's data anew in place when it has grown, or returns false if it cannot.
const sections = [
  ["summary", "Summary", summary],
  ["samples", "Samples", samples],
  ["curves", "Training curves", curves],
  ["scores", "Scores over time", scoresOverTime],
  ["evaluation", "Evaluation", evaluation],
  ["neighbours", "Nearest training neighbours", neighbours],
  ["confusion", "Confusion matrix", confusion],
  ["classes", "Classes", classes],
  ["command", "Command", command],
  ["configuration", "Configuration", (box, data) => box.append(code(data.config))],
];

/** Sections that this kind of model never has, or that its evaluation could not fill. */
const without = data => ({
  neighbours: data.vectors || (data.eval && !data.neighbours),
  confusion: !data.conditional || (data.eval && !data.eval.confusion),
  classes: !data.conditional || (data.eval && !data.eval.per_class),
});

/** Draws the sections of a run into `main` and links to them into `nav`. Returns a function that draws them again, or
    those of some ids, with data that has grown. */
export function drawRun(main, nav, data) {
  const updates = {};
  const boxes = sections.map(([id]) => element("section", { id }));
  const links = sections.map(([id]) => element("a", { href: "#" + id }));
  const draw = (data, ids = null) => {
    const gone = without(data);
    sections.forEach(([id, heading, fill], index) => {
      const box = boxes[index];
      try {
        if (ids && !ids.includes(id) || !box.hidden && updates[id]?.(data)) return;
        box.hidden = links[index].hidden = Boolean(gone[id]);
        links[index].textContent = box.hidden ? "" : heading;
        box.replaceChildren(...(box.hidden ? [] : [element("h2", {}, heading)]));
        updates[id] = box.hidden ? null : fill(box, data);
      } catch (error) {
        fail(id + ": " + error.message);
      }
    });
    drawPlots();
  };
  main.append(...boxes);
  nav.append(...links);
  draw(data);
  return draw;
}

/** Shows the reason for missing data, and the command that makes it. */
const missing = (box, text, hint) => box.append(paragraph(text), ...(hint ? [code(hint)] : []));

const className = (data, index) => data.class_names[index] ?? String(index);

function summary(box, data) {
  const { facts } = data, notes = element("div"), tiles = element("div", { className: "tiles" });
  const draw = data => {
    notes.replaceChildren(...data.notes.map(text => paragraph(text, "note")),
      ...data.warnings.map(({ step, text }) => paragraph(`Warning at step ${number(step)}: ${text}`, "note")));
    tiles.replaceChildren(...summaryTiles(data));
  };
  draw(data);
  box.append(notes, tiles, table([], facts));
  return grown => grown.facts === facts && (draw(grown) ?? true);
}

function summaryTiles({ steps, trained_for: time, metrics, eval: scores }) {
  const tile = (value, text) => element("div", {}, element("b", {}, value), element("span", {}, text));
  const tiles = [];
  if (steps) tiles.push(tile(number(steps), steps === 1 ? "step" : "steps"));
  if (time) tiles.push(tile(time, "of training"));
  const speeds = (metrics?.images_per_second ?? []).filter(Number.isFinite).sort((a, b) => a - b);
  if (speeds.length) tiles.push(tile(number(speeds[speeds.length >> 1]), "rows a second (median)"));
  if (typeof scores?.label_accuracy === "number") tiles.push(tile(percent(scores.label_accuracy), "label accuracy"));
  if (typeof scores?.fd === "number") tiles.push(tile(number(scores.fd), "Fréchet distance (not Inception FID)"));
  if (typeof scores?.coverage === "number") tiles.push(tile(percent(scores.coverage), "coverage"));
  return tiles;
}

function samples(box, data) {
  let { pictures } = data.samples;
  if (pictures.length === 0) return missing(box, data.samples.why, data.hints.samples);
  const png = index => pictures.at(index).png ?? pictures.at(index).url;
  const after = () => "After " + counted(pictures.at(-1).step, "step");
  const labels = data.samples.row_labels;
  const last = picture(png(-1), "final samples", labels);
  const final = figure(after(), last.box);
  if (pictures.length === 1) {
    box.append(row(final));
    return missing(box, "This is the only picture of the run. Pictures through training:", data.hints.pictures);
  }
  const shown = picture(png(-1), "samples through training", labels);
  const steps = slider(pictures.length, index => {
    shown.img.src = pictureSource(png(index));
    return "step " + number(pictures[index].step);
  });
  const { found } = data.samples;
  const thinned = found > pictures.length ? ` ${pictures.length} of ${found} pictures are shown.` : "";
  box.append(paragraph("Every picture uses the same latents." + thinned, "quiet"),
    row(figure("Through training", steps.box, shown.box), final));
  return grown => {
    pictures = grown.samples.pictures;
    steps.grow(pictures.length);
    last.img.src = pictureSource(png(-1));
    final.firstChild.textContent = after();
    return true;
  };
}

// Plots of the lines of metrics.jsonl and scores.jsonl: title, series [label, color, key], options.
export const metricPlots = [
  ["Losses", [["generator", "blue", "loss_g"], ["discriminator", "orange", "loss_d"]]],
  ["D's outputs", [["on real rows", "green", "d_real"], ["on generated rows", "purple", "d_fake"]],
    { note: "Means over the batch, as the loss sees them: probabilities after a Sigmoid, else logits." }],
  ["Gradient norms", [["generator", "blue", "grad_norm_g"], ["discriminator", "orange", "grad_norm_d"]], { log: true }],
  ["Samples beside the data",
    [["moved by the condition", "blue", "watch.condition"], ["spread in a condition", "green", "watch.spread"]],
    { zero: true, note: "As shares of the data's: near 0 where the condition is ignored, or samples of a condition are all alike." }],
  ["How often D is right", [["of a real row and a sample", "orange", "watch.d_wins"]],
    { zero: true, note: "0.5: D cannot tell them apart; 1: it always can." }],
  ["Lengths of the weights", [["generator", "blue", "watch.length_g"], ["discriminator", "orange", "watch.length_d"]], { log: true }],
  ["Speed", [["rows a second", "green", "images_per_second"]], { zero: true, note: "Rows a second." }],
];
export const scorePlots = [
  ["Shares", [["label accuracy", "blue", "label_accuracy"], ["precision", "green", "precision"], ["recall", "purple", "recall"],
    ["coverage", "orange", "coverage"], ["density", "red", "density"], ["high quality", "red", "high_quality"]],  // of vectors, without density
  { zero: true, note: "Higher is better; density may exceed 1." }],
  ["Fréchet distance", [["fd", "blue", "fd"]], { log: true, note: "Not Inception FID. Lower is better." }],
  ["Kolmogorov-Smirnov distance", [["mean of the columns", "blue", "ks"]], { zero: true, note: "Lower is better." }],
  ["Modes found", [["modes", "green", "modes_found"]], { zero: true }],
  ["Score", [["score", "blue", "score"]],
    { zero: true, note: "One number for choosing among models: the harmonic mean of label accuracy and coverage, or of those available." }],
];

/** A row of those plots that have numbers; returns what draws them with other numbers. `values` gives a plot's series. */
export function plotRow(box, definitions, values) {
  const place = row();
  box.append(place);
  const shown = definitions.map(() => null);
  const draw = values => definitions.forEach(([title, series, options], index) => {
    const lines = values(series);
    if (shown[index]) return shown[index].update(lines);
    shown[index] = plot(title, lines, options);
    if (shown[index]) place.insertBefore(shown[index].box, place.children[shown.slice(0, index).filter(Boolean).length] ?? null);
  });
  draw(values);
  return draw;
}

/** The series of a plot in a table of columns. */
const columns = lines => series => series.map(([label, hue, key]) => ({ label, hue, x: lines.step, y: lines[key] }));

function curves(box, data) {
  if (!data.metrics) return missing(box, "metrics.jsonl holds nothing: the run is shorter than train.log_every.", data.hints.log);
  const draw = plotRow(box, metricPlots, columns(data.metrics));
  return grown => draw(columns(grown.metrics)) ?? true;
}

function scoresOverTime(box, data) {
  if (!data.scores) return missing(box, "The run was not scored while it trained. To train another with scores:", data.hints.scores);
  const draw = plotRow(box, scorePlots, columns(data.scores));
  box.append(...Object.entries(data.scores.missing ?? {}).map(([key, reason]) =>
    paragraph(`No ${key.replaceAll(/[_.]/g, " ")}: ${reason}.`, "quiet")));
  return grown => draw(columns(grown.scores)) ?? true;
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

/** The row on a number's values that the training data lacks, if there are any. */
function unseenRow({ name, unit, unseen }) {
  if (!unseen) return [];
  const shown = unseen.values.slice(0, 10).map(value => number(value)).join(", ") + (unseen.values.length > 10 ? ", …" : "");
  return [[`${name}: unseen values`, `${number(unseen.error)} ${unit ?? ""}`, `mean absolute error at values that the training data lacks: ${shown}`]];
}

/** The row on Fréchet distances in windows of a number. */
function windowRow({ name, windows }) {
  if (!windows?.length) return [];
  const worst = windows.reduce((a, b) => (b.fd > a.fd ? b : a));
  const mean = windows.reduce((sum, { fd }) => sum + fd, 0) / windows.length;
  return [[`${name}: Fréchet distance in windows`, number(mean),
    `not Inception FID; mean of ${counted(windows.length, "window")}, at most ${number(worst.fd)}, from ${number(worst.low)} to ${number(worst.high)}`]];
}

function evaluation(box, data) {
  const e = data.eval;
  if (!e) return missing(box, "The model was not evaluated. To score it:", data.hints.eval);
  const details = [];
  if (e.samples) details.push(counted(e.samples, "sample"));
  if (e.reference?.name) details.push("against " + e.reference.name + (e.reference.count ? ` (${counted(e.reference.count, "row")})` : ""));
  if (e.embedding) details.push("embedding " + [String(e.embedding.hash ?? "").slice(0, 12), e.embedding.width && "width " + e.embedding.width,
    e.embedding.learned === "without labels" && "learned without labels",
    e.embedding.accuracy && "accuracy " + percent(e.embedding.accuracy)].filter(Boolean).join(", "));
  if (typeof e.steps === "number") details.push("model of step " + number(e.steps));
  if (e.reference?.in_training) details.push(number(e.reference.in_training)
    + " of these rows are in the training part, too, and left out of the search for copies");
  box.append(paragraph(details.join("; "), "quiet"));
  if (data.steps && typeof e.steps === "number" && e.steps !== data.steps) {
    box.append(element("p", { className: "note" },
      `The model has trained on since, to step ${number(data.steps)}. To score it again: `, element("code", {}, data.hints.eval)));
  }
  const known = [
    ["label_accuracy", "label accuracy", "share of samples whose label a classifier predicts"],
    ["fd", "Fréchet distance", "not Inception FID; between the features of samples and of data; lower is better"
      + (e.fd_few ? `; of ${number(e.fd_few)} rows at a time, with shrunk covariances: chance makes it larger` : "")],
    ["precision", "precision", "share of samples that lie where the data is"],
    ["recall", "recall", "share of the data that lies where the samples are"],
    ["density", "density", "like precision, but counts near data points; may exceed 1"],
    ["coverage", "coverage", "share of the data with a sample near it"],
    ["two_sample_auc", "two-sample AUC", "0.5: nearest neighbours cannot tell samples from data; 1: they always can"],
    ["duplicates", "duplicates", "share of samples that are nearly equal to another sample"],
    ["score", "score", "joint, for choosing among models: the harmonic mean of label accuracy and coverage, or of those available"],
  ];
  const rows = known.filter(([key]) => typeof e[key] === "number").map(([key, name, text]) => [name, number(e[key]), text]);
  const more = [["kid", "kernel distance (not Inception KID)"], ["cas", "classification accuracy score"],
    ["memorization", data.vectors ? "nearest training row" : "nearest training image"], ["parzen", "Parzen window"], ["modes", "modes"],
    ["ks", "Kolmogorov-Smirnov distance of columns"], ["own_label_accuracy", "label accuracy of real rows"]];
  for (const [key, name] of more) rows.push(...flatten(name, e[key]).map(([label, text]) => [label, text, ""]));
  for (const each of Array.isArray(e.numbers) ? e.numbers : [])
    rows.push([String(each.name), `${number(each.error)} ${each.unit ?? ""}`, `mean absolute error; on real data ${number(each.own_error)}`],
      ...unseenRow(each), ...windowRow(each));
  for (const pair of Array.isArray(e.correlations?.pairs) ? e.correlations.pairs : [])
    rows.push(["correlation of " + [].concat(pair.columns ?? []).join(" and "), number(pair.samples), `in the data ${number(pair.real)}`]);
  for (const each of (Array.isArray(e.columns) ? e.columns : []).slice(0, 40))
    rows.push([`column ${each.name}`, number(each.ks), "Kolmogorov-Smirnov distance of the distributions"]);
  const names = Object.fromEntries([...known, ...more]);
  for (const [key, reason] of Object.entries(e.missing ?? {})) rows.push([names[key] ?? key.replaceAll(/[_.]/g, " "), "–", reason]);
  box.append(table(["measure", "value", "meaning"], rows), ...(e.notes ?? []).map(text => paragraph(text, "quiet")));
  const curve = e.fd_curve ?? [];
  const figures = [
    plot("Fréchet distance by number of samples",
      [{ label: "fd", hue: "blue", x: curve.map(point => point.samples), y: curve.map(point => point.fd) }],
      { xTitle: "samples", note: "Not Inception FID. Small counts overstate it; where the line is flat, the count suffices." })?.box,
    data.eval_samples && figure("Samples that were scored", picture(data.eval_samples, "samples that were scored").box),
  ].filter(Boolean);
  if (figures.length) box.append(row(...figures));
}

function neighbours(box, data) {
  if (!data.neighbours) return missing(box, "No neighbours were looked for. To find them:", data.hints.eval);
  box.append(
    paragraph("Each sample with the nearest image of the training data to its right. Equal pairs show that the model copies its data.", "quiet"),
    row(figure("Pairs of a sample and its neighbour", picture(data.neighbours, "samples and their nearest neighbours").box)));
}

/** Rows as shares of their sums. */
const shares = matrix => matrix.map(counts => {
  const sum = counts.reduce((a, b) => a + b, 0);
  return counts.map(count => (sum > 0 ? count / sum : 0));
});

function confusion(box, data) {
  const matrix = data.eval?.confusion;
  if (!matrix) return missing(box, "No confusion matrix was made. To make it:", data.hints.eval);
  box.append(paragraph("Rows: the class that a sample was drawn for. Columns: the class that a classifier predicted. "
    + "The stronger the colour, the larger the share of the row.", "quiet"));
  const share = shares(matrix);
  if (matrix.length > 30) {  // a table of so many cells would be slow and unreadable
    const canvas = element("canvas", { className: "cells", width: matrix.length, height: matrix.length, role: "img",
      ariaLabel: `confusion matrix of ${matrix.length} classes; the table of classes says the most frequent wrong class of each` });
    const context = canvas.getContext("2d");
    share.forEach((values, y) => values.forEach((value, x) => {
      context.fillStyle = `rgba(${color("accent-rgb")}, ${value})`;
      context.fillRect(x, y, 1, 1);
    }));
    box.append(canvas);
    return;
  }
  const names = matrix.map((_, index) => className(data, index));
  const long = names.some(name => name.length > 4) ? "long" : "";
  const head = element("tr", {}, element("td"),
    ...names.map(name => element("th", { scope: "col" }, element("span", { className: long }, name))));
  const rows = matrix.map((counts, y) => element("tr", {}, element("th", { scope: "row" }, names[y]), ...counts.map((count, x) => {
    const part = share[y][x], strong = part > 0.55;
    const title = `drawn for ${names[y]}, predicted ${names[x]}: ${percent(part)}`;
    const cell = element("td", { className: strong ? "strong" : "", title }, count === 0 ? "" : number(count));
    cell.style.background = `rgba(var(--accent-rgb), ${strong ? 0.6 + 0.4 * part : 0.9 * part})`;  // no number is hard to read
    return cell;
  })));
  box.append(element("div", { className: "scroll", tabIndex: 0 },
    element("table", { className: "confusion" }, element("thead", {}, head), element("tbody", {}, ...rows))));
}

function classes(box, data) {
  const list = data.eval?.per_class;
  if (!list?.length) return missing(box, "The classes were not scored. To score them:", data.hints.eval);
  const share = data.eval.confusion ? shares(data.eval.confusion) : [];
  const rows = list.map((each, index) => {
    const others = (share[index] ?? []).map((value, k) => [value, k]).filter(([value, k]) => k !== index && value > 0);
    const [value, predicted] = others.sort((a, b) => b[0] - a[0])[0] ?? [];
    const name = typeof each.class === "number" ? className(data, each.class) : String(each.name ?? each.class ?? className(data, index));
    return [name, percent(each.accuracy), number(each.fd), value ? `${className(data, predicted)} (${percent(value)})` : "–"];
  });
  box.append(table(["class", "label accuracy", "Fréchet distance (not Inception FID)", "most frequent wrong class"], rows));
}

function command(box, data) {
  if (data.commands) box.append(code(data.commands));
  else missing(box, "command.txt, which holds the run's command, is missing. To train another with the same values:", data.hints.again);
}
