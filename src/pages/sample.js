// One sample: large, its variations, the training rows nearest to it, files of it, the calls that draw it.
import { content, send, ServerError } from "./api.js";
import { calls, cplusplus, curl, describe } from "./calls.js";
import { variations } from "./latents.js";
import { button, element, figure, number, paragraph, table } from "./pieces.js";

const pad = 2, near = 8, neighbours = 6;

/** Runs an action; what the server says against it is shown in `place`, and nothing if the page was left meanwhile. */
export async function attempt(place, action) {
  try {
    await action();
    place.textContent = "";
  } catch (error) {
    if (error.name === "AbortError") return;
    if (!(error instanceof ServerError)) throw error;
    place.textContent = error.message;
    return error;
  }
}

/** Does `work` again when asked, one at a time; what is asked for meanwhile is done once, afterwards. */
export function latest(work) {
  let asked = false, running = null;
  const loop = async () => {
    try {
      while (asked) {
        asked = false;
        await work();
      }
    } finally {
      running = null;
    }
  };
  return () => {
    asked = true;
    return running ??= loop();
  };
}

/** The name of an element of vectors, with its unit. */
export const elementName = (model, i) =>
  [model.elements[i]?.name ?? `x${i}`, model.elements[i]?.unit && `(${model.elements[i].unit})`].filter(Boolean).join(" ");

/** Saves a blob under a name. */
function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
}

/** Draws a picture of the server on a canvas, enlarged to a width. */
async function paint(canvas, body, width, signal) {
  const response = await send("POST", "/v1/sample", body, { accept: "image/png", signal });
  const bitmap = await createImageBitmap(await content(response, "blob"));
  Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
  canvas.style.width = width + "px";
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
}

const pixels = ariaLabel => element("canvas", { role: "img", ariaLabel, className: "pixels", width: 1, height: 1 });

/** Buttons that save the sample in a format. */
function downloads(single, images, said, signal) {
  const formats = [...(images ? [["PNG", "image/png"], ["Zip", "application/zip"]] : [["CSV", "text/csv"]]), ["NPZ", "application/x-npz"]];
  return formats.map(([name, accept]) => button(name, () => attempt(said, async () => {
    const body = accept === "image/png" ? { ...single, pad: 0 } : single;
    save(await content(await send("POST", "/v1/sample", body, { accept, signal }), "blob"), "sample." + name.toLowerCase());
  })));
}

/** Variations of the sample at a distance that can be chosen, and a button that hands them on. */
function variationsFigure({ model, single, z, more, signal }, said) {
  const strength = element("input", { type: "range", min: 0.05, max: 2, step: 0.05, value: 0.4, ariaLabel: "Distance of the variations" });
  const canvas = model.kind === "images" ? pixels("Variations of the chosen sample") : null;
  const { seed, first, truncation, ...rest } = single;
  const fill = latest(() => attempt(said, async () => {
    const latents = variations(z, +strength.value, 1000, near + 1, model.latent.distribution).slice(1);
    if (canvas) await paint(canvas, { ...rest, count: near, latents, columns: 4, pad }, 240, signal);
  }));
  strength.addEventListener("input", fill);
  fill();
  return figure("Variations", element("div", { className: "slider" }, strength), canvas,
    element("div", { className: "actions" }, button("More like this", () => more(+strength.value))));
}

/** Looks for the training rows nearest to the sample, when asked. */
function neighboursFigure({ model, single, signal }, said) {
  const found = element("div", { className: "neighbours" }), name = model.kind === "images" ? "pictures" : "rows";
  const find = button("Find", async () => {
    found.replaceChildren(paragraph("Looking through the training data …", "quiet"));
    const error = await attempt(said, async () => {
      const response = await send("POST", "/v1/neighbours", { ...single, k: neighbours }, { signal });
      found.replaceChildren(...neighbourList(await content(response), name));
    });
    if (error) found.replaceChildren();
  });
  find.ariaLabel = "Find the nearest training " + name;
  return figure("Nearest training " + name, find, found);
}

function neighbourList({ neighbours, distance_typical: typical }, name) {
  const entry = ({ index, distance, label, png }) => element("li", {},
    png ? element("img", { className: "pixels", alt: `training picture ${index}`, src: "data:image/png;base64," + png }) : null,
    `${label ?? "row " + index}: ${number(distance)}`);
  return [element("ol", {}, ...neighbours.map(entry)), paragraph(
    "The numbers are distances. "
      + (typical === null ? "" : `${number(typical)} lies between the first of these ${name} and the one nearest to it. `)
      + "Far less means that the sample is a copy.", "quiet")];
}

/** Fills a panel with a sample. `single`: the request that draws it alone; row: its condition; sample: its values; z: its
    latents; `more` is called with a strength, `close` when the panel is closed. */
export function fillPanel(panel, chosen) {
  const { model, single, row, sample, signal, close } = chosen, images = model.kind === "images";
  const said = element("p", { className: "problem", role: "alert" }), name = describe(row, model) || `sample ${(single.first ?? 0) + 1}`;
  const large = images ? pixels("The chosen sample: " + name)
    : table(["element", "value"], sample.map((value, i) => [elementName(model, i), value]));
  const call = calls(() => [["curl", curl(images ? { ...single, pad: 0 } : single, images ? "image/png" : "application/json")],
    ["C++", cplusplus(single, [row], model)]]);
  panel.replaceChildren(element("div", { className: "title" }, element("h2", {}, name), button("Close", close)), said, large,
    element("div", { className: "actions", role: "group", ariaLabel: "Download" }, ...downloads(single, images, said, signal)),
    variationsFigure(chosen, said), neighboursFigure(chosen, said), call.box);
  panel.hidden = false;
  panel.focus({ preventScroll: innerWidth > 900 });
  if (images) attempt(said, () => paint(large, { ...single, pad: 0 }, 224, signal));
}
