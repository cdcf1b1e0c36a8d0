// Draws samples of a model: conditions by buttons and sliders, latents by a seed, a plane or variations of a sample.
import { address, content, get, send, throttle } from "./api.js";
import { calls, cplusplus, curl, describe } from "./calls.js";
import { columnControl, combinations, isShort } from "./conditions.js";
import { choice, field } from "./controls.js";
import { moved, normals, variations } from "./latents.js";
import { button, counted, element, number, paragraph } from "./pieces.js";
import { attempt, fillPanel, latest } from "./sample.js";
import { pad, pictureView, vectorView } from "./views.js";

export const title = "Draw";

const mostSamples = 400;

/** A square in which a point moves, by pointer or arrow keys; both coordinates are from -2 to 2. */
function planePad(changed) {
  const dot = element("span", { className: "dot" }), shown = element("output");
  const square = element("div", { className: "pad", tabIndex: 0, role: "application",
    ariaLabel: "Plane of latents: drag, or move by the arrow keys" }, dot);
  const at = [0, 0];
  const move = (x, y) => {
    [at[0], at[1]] = [x, y].map(value => Math.max(-2, Math.min(2, Math.round(value * 100) / 100)));
    dot.style.left = 25 * (at[0] + 2) + "%";
    dot.style.top = 25 * (2 - at[1]) + "%";
    shown.textContent = `${at[0].toFixed(2)}, ${at[1].toFixed(2)}`;
  };
  const drag = event => {
    const { left, top, width, height } = square.getBoundingClientRect();
    move(4 * (event.clientX - left) / width - 2, 2 - 4 * (event.clientY - top) / height);
    changed();
  };
  square.addEventListener("pointerdown", event => {
    square.setPointerCapture(event.pointerId);
    drag(event);
  });
  square.addEventListener("pointermove", event => square.hasPointerCapture(event.pointerId) && drag(event));
  square.addEventListener("keydown", event => {
    const step = event.shiftKey ? 0.5 : 0.05;
    const [x, y] = { ArrowLeft: [-step, 0], ArrowRight: [step, 0], ArrowUp: [0, step], ArrowDown: [0, -step] }[event.key] ?? [0, 0];
    if (!x && !y) return;
    event.preventDefault();
    move(at[0] + x, at[1] + y);
    changed();
  });
  move(0, 0);
  return { square, shown, at, move };
}

const wait = ms => new Promise(resolve => setTimeout(resolve, ms));

/** Puts more beside the control of a field. */
function beside(box, control, className, ...more) {
  const both = element("span", { className });
  control.replaceWith(both);
  both.append(control, ...more);
  return box;
}

/** The controls of the latents. `rows` says how many combinations of values there are. `request` gives the part of a
    request that chooses latents, `count` of each combination. */
function latentControls(model, rows, changed, signal) {
  const { size, distribution } = model.latent, conditional = model.columns.length > 0, none = 3;  // no truncation
  const count = element("input", { type: "number", min: 1, max: mostSamples, value: model.kind === "images" ? 8 : conditional ? 20 : 200 });
  const seed = element("input", { type: "number", min: 0, step: 1, value: 1 }), same = element("input", { type: "checkbox" });
  const truncation = element("input", { type: "range", min: 0.3, max: none, step: 0.05, value: none }), shown = element("output");
  const plane = planePad(changed);
  let direction, u, v, own = null;  // own: a sample whose variations are drawn, { z, strength }
  let known = { key: "", latents: [] };
  const turn = to => {
    direction = to;
    [u, v] = [normals(2 * to, size), normals(2 * to + 1, size)];
  };
  turn(1);

  const each = () => Math.max(1, Math.min(Math.floor(+count.value) || 1, Math.floor(mostSamples / rows()) || 1));
  const shared = () => same.checked && rows() > 1;
  const cut = () => (+truncation.value < none ? { truncation: +truncation.value } : {});
  const bySeed = () => ({ seed: Math.max(0, Math.floor(+seed.value) || 0), ...cut() });
  /** The latents before they are moved in the plane: one for each sample, or each sample of a combination. */
  const still = async conditions => {
    const needed = each() * (shared() ? 1 : rows());
    if (own) return variations(own.z, own.strength, 1000, needed, distribution);
    const key = JSON.stringify([bySeed(), needed, shared()]);
    if (known.key === key) return known.latents;
    const asked = { model: model.name, ...conditions, count: each(), ...bySeed(), same_latents: shared(), return_latents: true };
    const { latents } = await content(await send("POST", "/v1/sample", asked, { signal }));
    known = { key, latents: latents.slice(0, needed) };
    return known.latents;
  };
  const isMoved = () => plane.at.some(value => value !== 0);
  const request = async conditions => {
    const common = { count: each(), ...(shared() ? { same_latents: true } : {}) };
    if (!own && !isMoved()) return { ...common, ...bySeed() };
    return { ...common, latents: (await still(conditions)).map(z => moved(z, ...plane.at, u, v, distribution)) };
  };

  const say = () => {
    shown.textContent = truncation.ariaValueText = +truncation.value < none ? truncation.value : "none";
    back.hidden = own === null;
  };
  const change = action => () => {
    action?.();
    say();
    changed();
  };
  const forget = () => {
    own = null;
  };
  for (const input of [count, seed, truncation, same]) input.addEventListener("input", change());
  const dice = button("Another", change(() => {
    seed.value = +seed.value + 1;
    forget();
  }));
  dice.ariaLabel = "Another seed";
  const back = button("Back to the seed", change(forget));
  const centre = button("Centre", change(() => plane.move(0, 0))), another = button("Another plane", change(() => turn(direction + 1)));
  const boxes = [field(conditional ? "Samples of each" : "Samples", count), beside(field("Seed", seed), seed, "pair", dice),
    distribution === "normal"
      ? beside(field("Truncation", truncation, "smaller: better samples that vary less"), truncation, "slider", shown) : null,
    conditional ? element("label", { className: "check" }, same, " the same latents for every value") : null,
    element("div", { className: "field" }, element("span", { className: "name" }, "Plane of latents"), plane.square,
      element("div", { className: "actions" }, plane.shown, centre, another)), back];
  const vary = (z, strength) => {
    own = { z, strength };
    plane.move(0, 0);
    if (model.kind === "images") count.value = Math.max(24, count.value);
    say();
  };
  const text = () => (own ? "variations of a sample" : `latents of seed ${bySeed().seed}`) + (isMoved() ? ", moved in the plane" : "");
  /** What an address says of them. */
  const state = () => ({ ...bySeed(), count: count.value, ...(same.checked ? { same: 1 } : {}),
    ...(isMoved() ? { x: plane.at[0], y: plane.at[1] } : {}), ...(direction > 1 ? { plane: direction } : {}) });
  const read = query => {
    for (const [key, input] of Object.entries({ seed, count, truncation })) {
      if (query.get(key) && Number.isFinite(+query.get(key))) input.value = query.get(key);
    }
    same.checked = query.has("same");
    turn(Number(query.get("plane")) || 1);
    plane.move(Number(query.get("x")) || 0, Number(query.get("y")) || 0);
    say();
  };
  say();
  return { boxes: boxes.filter(Boolean), request, vary, text, state, read };
}

export async function show(main, parts) {
  const { models } = await get("/v1/models");
  main.append(element("h1", {}, title));
  if (models.length === 0) return main.append(paragraph("There is no model yet: train a run, or start the server with a model."));
  const [path, query] = location.hash.split("?");
  const name = parts.length ? decodeURIComponent(path.split("/")[2]) : (models.find(({ state }) => state === "ready") ?? models[0]).name;
  document.title = `${name} · ${title} · gan studio`;
  let model = await get(address("models", name));
  while (model.state === "loading" && !model.columns && main.isConnected) {
    await wait(300);
    model = await get(address("models", name));
  }
  const list = choice(models.map(each => each.name));
  list.value = name;
  list.addEventListener("change", () => {
    location.hash = "#/draw/" + encodeURIComponent(list.value);
  });
  const controls = element("div", { className: "controls" }, field("Model", list)), stage = element("div", { className: "stage" });
  const panel = element("aside", { hidden: true, tabIndex: -1, ariaLabel: "Chosen sample" });
  main.append(element("div", { className: "draw" }, controls, stage, panel));
  if (model.state === "failed") return stage.append(paragraph(model.error, "note"));
  return drawPage({ model, controls, stage, panel, query: new URLSearchParams(query) });
}

/** The number of images in a row of the picture: a row for each combination, or for all values of the last column. */
function imagesAcross(columns, rows, count) {
  if (rows.length === 1) return Math.ceil(Math.sqrt(1.6 * count));
  if (count > 1) return count;
  return columns.map(([, control]) => control.values().length).findLast(length => length > 1);
}

/** Fills the page for a model; done when the first samples are drawn. Returns what ends it. */
async function drawPage({ model, controls, stage, panel, query }) {
  const leaving = new AbortController(), { signal } = leaving, images = model.kind === "images";
  const changed = () => redraw();
  const first = Math.max(0, model.columns.findIndex(isShort));  // every value of it at first, as that tells most about a model
  const columns = model.columns.map((column, i) => [column.name, columnControl(column, i === first, changed)]);
  const latents = latentControls(model, () => combinations(columns).length, changed, signal);
  const view = (images ? pictureView : vectorView)(model, index => choose(index));
  const said = element("p", { className: "problem", role: "alert" }), about = paragraph("", "quiet");
  const conditions = () => {
    const one = values => (values.length > 1 ? values : values[0]);
    return columns.length ? { conditions: Object.fromEntries(columns.map(([name, control]) => [name, one(control.values())])) } : {};
  };

  let drawn = null;  // the last request that was drawn, its combinations, and all of what was sent
  const draw = async () => {
    const rows = combinations(columns), given = conditions();
    const asked = { model: model.name, ...given, ...await latents.request(given) }, across = imagesAcross(columns, rows, asked.count);
    const sent = images ? { ...asked, columns: across, pad } : asked;
    const response = await send("POST", "/v1/sample", sent, { accept: view.accept, signal });
    const total = rows.length * asked.count, texts = rows.map(row => describe(row, model));
    const names = Array.from({ length: total }, (_, i) =>
      [texts[Math.floor(i / asked.count)], `sample ${i % asked.count + 1}`].filter(Boolean).join(", "));
    await view.draw(response, { names, columns: across, groups: rows.length });
    const varying = columns.filter(([, control]) => control.values().length > 1).map(([name]) => name);
    const what = rows.length > 1 ? counted(rows.length, "combination") + " of values" : texts[0];
    view.name([`${counted(total, "sample")} of ${model.name}`, what].filter(Boolean).join(": "),
      rows.length > 1 && across === asked.count ? rows.map(each => varying.map(name => number(each[name])).join(", ")) : []);
    about.textContent = `${counted(total, "sample")}; ${latents.text()}. Choose one to see more of it.`;
    drawn = { asked, rows, sent };
    document.documentElement.dataset.frames = +document.documentElement.dataset.frames + 1;
    keep();
    call.fill();
  };
  const redraw = latest(async () => {
    const error = await attempt(said, draw);
    if ([429, 503].includes(error?.status)) wait(1000).then(() => signal.aborted || redraw());  // the server is busy, or loads the model
  });
  document.documentElement.dataset.frames = 0;

  /** Keeps what is shown in the address, so that it can be sent to others. */
  const keep = throttle(() => {
    if (signal.aborted) return;
    const values = columns.map(([name, control]) => ["c." + name, control.text()]);
    const state = new URLSearchParams([...values, ...Object.entries(latents.state())]);
    history.replaceState(null, "", `#/draw/${encodeURIComponent(model.name)}?${state}`);
  }, 400);
  const call = calls(() => {
    if (!drawn) return [];
    const { asked, rows, sent } = drawn;
    return [["curl", curl(sent, view.accept)], ...(asked.latents ? [] : [["C++", cplusplus(asked, rows, model)]])];
  });

  let chosen = 0;  // counts the samples that were chosen
  const choose = async index => {
    const mine = ++chosen, { asked, rows } = drawn, row = rows[Math.floor(index / asked.count)];
    const latent = asked.same_latents ? index % asked.count : index;
    const { latents: own, seed, truncation } = asked;
    const single = { model: model.name, ...(columns.length ? { conditions: row } : {}), count: 1,
      ...(own ? { latents: [own[latent]] } : { seed, first: latent, ...(truncation ? { truncation } : {}) }) };
    await attempt(said, async () => {
      const { samples, latents: [z] } = await content(await send("POST", "/v1/sample", { ...single, return_latents: true }, { signal }));
      if (mine !== chosen) return;
      const close = () => {
        panel.hidden = true;
        view.focus(index);
      };
      const more = strength => {
        for (const [name, control] of columns) control.read(String(row[name]));
        latents.vary(z, strength);
        redraw();
      };
      fillPanel(panel, { model, single, row, sample: samples[0], z, more, close, signal });
    });
  };

  controls.append(...columns.map(([, control]) => control.box), ...latents.boxes);
  stage.append(said, view.box, about, call.box);
  for (const [name, control] of columns) if (query.has("c." + name)) control.read(query.get("c." + name));
  latents.read(query);
  await redraw();
  return () => leaving.abort();
}
