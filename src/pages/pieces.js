// Pieces that pages share: elements, numbers, tables, pictures, plots. Text is never inserted as HTML.

const errors = [];
document.documentElement.dataset.errors = "";

/** Notes an error and shows the first one on the page. */
export function fail(message) {
  errors.push(String(message));
  document.documentElement.dataset.errors = errors.join(" | ");
  const place = document.getElementById("failure");
  place.hidden = false;
  place.textContent = "A part of this page could not be drawn: " + errors[0];
}
window.addEventListener("error", event => fail(event.message));
window.addEventListener("unhandledrejection", event => fail(event.reason?.message ?? event.reason));
document.addEventListener("securitypolicyviolation", event => fail("blocked: " + event.blockedURI));

// ---- elements ----

/** A new element with these properties; children are elements or text, null is skipped. */
export function element(tag, properties = {}, ...children) {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children.filter(child => child !== null));
  return node;
}
export const row = (...children) => element("div", { className: "row" }, ...children);
export const paragraph = (text, className = "") => element("p", { className }, text);
export const figure = (title, ...children) => element("figure", {}, element("figcaption", {}, title), ...children);
export const code = text => element("pre", { tabIndex: 0 }, text);  // it may scroll, also by keys
export const button = (text, action) => element("button", { type: "button", onclick: action }, text);

export function number(value) {
  if (typeof value !== "number") return String(value ?? "–");
  if (Number.isInteger(value)) return value.toLocaleString("en");
  if (Math.abs(value) >= 1e6 || Math.abs(value) < 1e-3) return value.toExponential(2);
  return value.toLocaleString("en", { maximumSignificantDigits: 4 });
}
/** A number with its noun in singular or plural. */
export const counted = (value, noun) => number(value) + " " + noun + (value === 1 ? "" : "s");
export const percent = value => (typeof value === "number" ? (100 * value).toFixed(1) + "%" : "–");

/** A table; the first cell of a row is its heading, numbers are aligned to the right. */
export function table(heading, rows) {
  const cell = (value, index) => element(index === 0 ? "th" : "td",
    { className: typeof value === "number" ? "number" : "" }, typeof value === "number" ? number(value) : value);
  const head = heading.length === 0 ? null : element("thead", {}, element("tr", {}, ...heading.map((text, index) =>
    element("th", { className: rows.some(cells => typeof cells[index] === "number") ? "number" : "" }, text))));
  const body = element("tbody", {}, ...rows.map(cells => element("tr", {}, ...cells.map(cell))));
  return element("div", { className: "scroll", tabIndex: 0 }, element("table", {}, head, body));
}

// ---- pictures ----

/** Where a picture is: its address, or the base64 PNG data that a report holds. */
export const pictureSource = png => (png.startsWith("/") ? png : "data:image/png;base64," + png);

/** An enlarged picture with the names of its rows beside it. */
export function picture(png, alt, labels = []) {
  const img = element("img", { alt, src: pictureSource(png) });
  // A page that was left no longer shows it: the run may go on without that picture.
  img.addEventListener("error", () => img.isConnected && fail(alt + ": the picture cannot be shown"));
  img.addEventListener("load", () => {
    const scale = Math.min(3, Math.max(1, 480 / img.naturalWidth));
    img.style.width = scale * img.naturalWidth + "px";
    img.style.imageRendering = scale > 2 ? "pixelated" : "auto";  // few pixels look better as squares
  });
  const names = labels.map(name => element("span", { title: name }, name));
  const column = labels.length ? element("div", { className: "labels" }, ...names) : null;
  return { img, box: element("div", { className: "picture" }, column, img) };
}

/** A range over `count` stops, at its last one, and a button that plays them. `show` draws a stop and returns its name. */
export function slider(count, show) {
  const range = element("input", { type: "range", min: 0, max: count - 1, value: count - 1, ariaLabel: "step" });
  const name = element("output");
  const draw = () => {
    name.textContent = range.ariaValueText = show(+range.value);
  };
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const play = button("Play", () => {
    if (timer) return stop();
    if (+range.value === +range.max) range.value = 0;
    play.textContent = "Pause";
    draw();
    timer = setInterval(() => {
      range.value = +range.value + 1;
      draw();
      if (+range.value === +range.max || !range.isConnected) stop();
    }, 300);
  });
  range.addEventListener("input", () => {
    stop();
    draw();
  });
  draw();
  /** More stops; who looks at the last one sees the new last one. */
  const grow = stops => {
    const last = +range.value === +range.max && !timer;
    range.max = stops - 1;
    if (last) range.value = stops - 1;
    draw();
  };
  return { box: element("div", { className: "slider" }, play, range, name), grow };
}

// ---- plots ----

const plots = new Set();  // each { canvas, draw, chart }

export const color = name => getComputedStyle(document.documentElement).getPropertyValue("--" + name).trim();

/** The series that hold a number, as Chart.js takes them. */
function datasets(series) {
  return series.filter(({ y }) => y?.some(Number.isFinite)).map(({ label, hue, x, y, dash = [] }) => ({
    label,
    data: x.map((at, i) => ({ x: at, y: y[i] })).filter(point => Number.isFinite(point.y)),
    borderColor: color(hue),
    backgroundColor: color(hue),
    borderDash: dash,
    borderWidth: 1.5,
    pointRadius: y.filter(Number.isFinite).length <= 40 ? 2.5 : 0,  // few points may not make a visible line
    pointHitRadius: 8,
  }));
}

/** A figure with lines, or null if no series {label, hue, x, y} holds a number; `update` gives its lines other points. */
export function plot(title, series, { xTitle = "step", log = false, zero = false, note = null } = {}) {
  if (datasets(series).length === 0) return null;
  const canvas = element("canvas", { role: "img" });
  const caption = element("figcaption");
  const box = element("figure", {}, caption, element("div", { className: "plot" }, canvas), note && paragraph(note));
  const scale = () => (log && series.every(({ y }) => (y ?? []).every(value => !Number.isFinite(value) || value > 0))
    ? "logarithmic" : "linear");
  const describe = () => {
    caption.textContent = title + (scale() === "linear" ? "" : " (logarithmic)");
    canvas.ariaLabel = title + ": " + datasets(series).map(({ label, data }) =>
      `${label} ${number(data.at(-1).y)} at ${xTitle} ${number(data.at(-1).x)}`).join(", ");
  };
  const self = { box, canvas, chart: null };
  self.draw = () => {
    self.chart?.destroy();
    self.chart = new Chart(canvas, {
      type: "line",
      data: { datasets: datasets(series) },
      options: {
        animation: false,
        parsing: false,
        maintainAspectRatio: false,
        interaction: { mode: "index", intersect: false },
        scales: {
          x: { type: "linear", title: { display: true, text: xTitle }, ticks: { maxRotation: 0 }, beginAtZero: true },
          y: { type: scale(), beginAtZero: zero, ticks: { maxTicksLimit: 8 } },
        },
        plugins: {
          legend: { display: series.length > 1, align: "start", labels: { boxWidth: 14, boxHeight: 2 } },
          decimation: { enabled: true, algorithm: "min-max" },
          tooltip: { callbacks: { title: items => xTitle + " " + number(items[0].parsed.x) } },
        },
      },
    });
  };
  self.update = grown => {
    series = grown;
    describe();
    if (!self.chart) return;
    const { data, options } = self.chart;
    for (const fresh of datasets(series)) {  // lines that were there keep whether they are shown
      const line = data.datasets.find(({ label }) => label === fresh.label);
      if (line) Object.assign(line, fresh);
      else data.datasets.push(fresh);
    }
    options.scales.y.type = scale();
    self.chart.update("none");
  };
  describe();
  plots.add(self);
  return self;
}

/** Draws the plots that are new on the page, or all, and forgets those that left it. */
export function drawPlots(all = false) {
  Chart.defaults.color = color("quiet");
  Chart.defaults.borderColor = color("line");
  Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
  for (const each of plots) {
    if (!each.canvas.isConnected) {
      each.chart?.destroy();
      each.chart = null;  // an update that was on its way may still come
      plots.delete(each);
    } else if (all || !each.chart) each.draw();
  }
}
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => drawPlots(true));

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

/** For tests: the coloured pixels of each plot, the pictures that are there, and how the page is. */
export function tell(status) {
  const page = document.documentElement.dataset;
  try {
    page.ink = [...plots].map(ink).join(" ");
  } catch (error) {
    fail("ink: " + error.message);
  }
  const images = [...document.images].filter(img => img.src);
  page.pictures = images.filter(img => img.complete && img.naturalWidth > 0).length + "/" + images.length;
  page.status = errors.length ? "failed" : status;
}
