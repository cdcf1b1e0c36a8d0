// Runs beside each other: results, pictures, curves, and the values that differ.
import { address, events, get, throttle } from "./api.js";
import { duration } from "./controls.js";
import { counted, drawPlots, element, figure, number, paragraph, percent, picture, pictureSource, row, slider, table } from "./pieces.js";
import { metricPlots, plotRow, scorePlots } from "./sections.js";

export const title = "Compare";

const hues = ["blue", "orange", "green", "purple", "red"];

export async function show(main, names) {
  const fetchAll = () => Promise.all(names.map(name => get(address("runs", name))));
  let runs = await fetchAll();
  const section = heading => {
    const box = element("section", {}, element("h2", {}, heading));
    main.append(box);
    return box;
  };
  main.append(element("h1", {}, `Compare ${counted(runs.length, "run")}`));
  const results = element("div");
  const drawResults = () => results.replaceChildren(resultTable(runs));
  section("Results").append(results);
  drawResults();
  const drawPictures = pictures(section("Samples"), runs);
  // Each series of a plot of one run becomes a plot with a line for each run.
  const apart = definitions => definitions.flatMap(([heading, series, options]) => series.map(line =>
    [series.length > 1 ? `${heading}: ${line[0]}` : heading, [line], options]));
  const lines = kind => ([[, , key]]) => runs.map((run, index) => ({ label: run.name, hue: hues[index % hues.length],
    dash: index < hues.length ? [] : [6, 3], x: run.report[kind]?.step ?? [], y: run.report[kind]?.[key] }));
  const drawMetrics = plotRow(section("Training curves"), apart(metricPlots), lines("metrics"));
  const scores = section("Scores over time"), drawScores = plotRow(scores, apart(scorePlots), lines("scores"));
  const none = paragraph("These runs were not scored while they trained.", "quiet");
  if (runs.every(({ report }) => !report.scores)) scores.append(none);
  section("Values that differ").append(differences(runs));
  drawPlots();
  const soon = throttle(async () => {
    try {
      runs = await fetchAll();
    } catch {
      return;  // it is tried again when the stream goes on
    }
    drawResults();
    drawPictures(runs);
    drawMetrics(lines("metrics"));
    drawScores(lines("scores"));
    if (runs.some(({ report }) => report.scores)) none.remove();
    drawPlots();
  }, 3000);  // each is fetched whole
  return events("/v1/events", { runs: () => runs.some(({ state }) => state === "training") && soon() });
}

function resultTable(runs) {
  const score = (run, key) => run.report.eval?.[key] ?? run.report.scores?.[key]?.at(-1);
  const rows = [
    ["state", run => run.state],
    ["steps", run => number(run.steps)],
    ["time", run => duration(run.time)],
    ["score", run => number(run.score)],
    ["best score", run => (run.best === null ? "–" : `${number(run.best)} at step ${number(run.best_step)}`)],
    ["label accuracy", run => percent(score(run, "label_accuracy"))],
    ["Fréchet distance (not Inception FID)", run => number(score(run, "fd"))],
    ["coverage", run => percent(score(run, "coverage"))],
    ["warnings", run => number(run.warnings)],
  ];
  return table(["result", ...runs.map(({ name }) => name)], rows.map(([text, value]) => [text, ...runs.map(value)]));
}

/** The pictures of all runs at one step; returns what shows later ones. */
function pictures(box, runs) {
  let lists = runs.map(run => run.report.samples.pictures);
  const steps = () => [...new Set(lists.flat().map(({ step }) => step))].sort((a, b) => a - b);
  if (steps().length === 0) {
    box.append(paragraph("These runs have no pictures.", "quiet"));
    return () => {};
  }
  let all = steps();
  const shown = runs.map((run, index) => (lists[index].length ? picture(lists[index].at(-1).url, "samples of " + run.name) : null));
  const captions = runs.map(() => element("p"));
  // A run shows its last picture up to the chosen step.
  const control = slider(all.length, at => {
    lists.forEach((list, index) => {
      if (!shown[index]) return;
      const one = list.findLast(({ step }) => step <= all[at]) ?? list[0];
      shown[index].img.src = pictureSource(one.url);
      captions[index].textContent = "step " + number(one.step);
    });
    return "step " + number(all[at]);
  });
  box.append(control.box, row(...runs.map(({ name }, index) =>
    figure(name, shown[index]?.box ?? paragraph("No picture."), captions[index]))));
  return runs => {
    lists = runs.map(run => run.report.samples.pictures);
    all = steps();
    control.grow(all.length);
  };
}

/** The values of config.toml that are not the same in all runs. */
function differences(runs) {
  const text = value => (value === undefined ? "–" : typeof value === "string" ? value : JSON.stringify(value));
  const keys = [...new Set(runs.flatMap(({ config }) => Object.keys(config)))];
  const rows = keys.map(key => [key, ...runs.map(({ config }) => text(config[key]))])
    .filter(([, first, ...rest]) => rest.some(value => value !== first));
  return rows.length ? table(["key", ...runs.map(({ name }) => name)], rows) : paragraph("All values are the same.", "quiet");
}
