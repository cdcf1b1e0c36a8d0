// Views of samples on the page Draw: a picture whose images can be chosen, or a table.
import { content } from "./api.js";
import { elementName } from "./sample.js";
import { button, color, element, paragraph, table } from "./pieces.js";

export const pad = 2;         // pixels around an image
const size = 480, listed = 50;  // of a picture of points; rows of a table

/** A picture of images on a canvas, with a button over each, which calls `choose` with its index. `draw` takes the server's
    answer, `name` what the picture is called and the names of its rows. */
export function pictureView(model, choose) {
  const canvas = element("canvas", { role: "img" }), cells = element("div", { className: "cells", role: "group", ariaLabel: "Samples" });
  const labels = element("div", { className: "labels", ariaHidden: "true" });
  const box = element("div", { className: "picture" }, labels, element("div", { className: "grid" }, canvas, cells));
  let columns = 1;
  cells.addEventListener("keydown", event => {  // arrows go from sample to sample, Tab leaves
    const step = { ArrowLeft: -1, ArrowRight: 1, ArrowUp: -columns, ArrowDown: columns }[event.key];
    const from = [...cells.children].indexOf(event.target), to = cells.children[from + step];
    if (!to) return;
    event.preventDefault();
    cells.children[from].tabIndex = -1;
    to.tabIndex = 0;
    to.focus();
  });
  const enlarge = width => Math.max(1, Math.min(4, Math.round(720 / width)));
  const draw = async (response, { names, columns: across }) => {
    const bitmap = await createImageBitmap(await content(response, "blob"));
    if (canvas.width !== bitmap.width || canvas.height !== bitmap.height) {
      Object.assign(canvas, { width: bitmap.width, height: bitmap.height });
      canvas.style.width = enlarge(bitmap.width) * bitmap.width + "px";
      cells.style.inset = `${50 * pad / bitmap.height}% ${50 * pad / bitmap.width}%`;
    }
    canvas.getContext("2d").drawImage(bitmap, 0, 0);
    bitmap.close();
    columns = across;
    cells.style.gridTemplateColumns = `repeat(${columns}, 1fr)`;
    cells.style.gridTemplateRows = `repeat(${Math.ceil(names.length / columns)}, 1fr)`;
    while (cells.children.length > names.length) cells.lastChild.remove();
    while (cells.children.length < names.length) {
      const index = cells.children.length;
      cells.append(element("button", { type: "button", tabIndex: index ? -1 : 0, onclick: () => choose(index) }));
    }
    names.forEach((text, i) => Object.assign(cells.children[i], { ariaLabel: text }));
    if (!cells.querySelector("[tabindex='0']")) cells.firstChild.tabIndex = 0;
  };
  const name = (text, rows) => {
    canvas.ariaLabel = text;
    if (labels.children.length === rows.length && rows.every((row, i) => labels.children[i].textContent === row)) return;
    labels.replaceChildren(...rows.map(row => element("span", { title: row }, row)));
  };
  return { box, accept: "image/png", draw, name, focus: index => cells.children[index]?.focus() };
}

/** Vectors as a table; points in the plane as a picture, too. */
export function vectorView(model, choose) {
  const canvas = element("canvas", { role: "img", width: size, height: size }), rows = element("div");
  const plane = model.shape[0] === 2 ? element("div", { className: "grid" }, canvas) : null;
  const box = element("div", { className: "vectors" }, plane, rows);
  /** The ends of an axis: those of the data and of the samples. */
  const ends = (samples, i) => {
    const { minimum = Infinity, maximum = -Infinity } = model.elements[i] ?? {}, values = samples.map(row => row[i]);
    return [Math.min(minimum, ...values), Math.max(maximum, ...values)];
  };
  const scatter = (samples, groups) => {
    const context = canvas.getContext("2d"), [left, right] = ends(samples, 0), [bottom, top] = ends(samples, 1), inner = size - 40;
    context.clearRect(0, 0, size, size);
    samples.forEach(([x, y], i) => {
      context.fillStyle = groups > 1 ? `hsl(${360 * Math.floor(i * groups / samples.length) / groups} 70% 50%)` : color("blue");
      context.beginPath();
      context.arc(20 + inner * (x - left) / (right - left || 1), 20 + inner * (top - y) / (top - bottom || 1), 2.5, 0, 7);
      context.fill();
    });
  };
  const draw = async (response, { names, groups }) => {
    const { samples } = await content(response);
    if (plane) scatter(samples, groups);
    if (rows.contains(document.activeElement)) return;  // a table that is read is left alone
    const lines = samples.slice(0, listed).map((row, i) => [button(names[i], () => choose(i)), ...row]);
    rows.replaceChildren(table(["sample", ...samples[0].map((_, i) => elementName(model, i))], lines),
      ...(samples.length > listed ? [paragraph(`${listed} of ${samples.length} samples are listed.`, "quiet")] : []));
  };
  const name = text => {
    canvas.ariaLabel = text;
  };
  return { box, accept: "application/json", draw, name, focus: index => rows.querySelectorAll("button")[index]?.focus() };
}
