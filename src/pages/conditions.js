// Controls for the conditions of a model: what values of each column are drawn.
import { choice, field } from "./controls.js";
import { button, element, number } from "./pieces.js";

const mostButtons = 30, steps = 8, stops = 240;  // of a slider

/** Whether a column is one whose every value can be shown at once. */
export const isShort = ({ categories }) => categories && categories.length <= mostButtons;

/** A column's values that are drawn: one, by a button, a list or a slider, or every one, at first if `varies`. Gives its
    `box`, the `values`, and what an address says of them: `text`, which `read` takes again. */
export function columnControl(column, varies, changed) {
  if (!column.categories) return numberControl(column, varies, changed);
  const names = column.categories, every = isShort(column) && names.length > 1;
  let value = every && varies ? null : names[0];  // null: every category
  const say = () => {
    for (const each of box.querySelectorAll("button")) each.ariaPressed = String(each.value === (value === null ? "" : "=" + value));
    if (list) list.value = value;
  };
  const set = chosen => {
    value = chosen;
    say();
    changed();
  };
  const toggle = (text, chosen) => Object.assign(button(text, () => set(chosen)), { value: chosen === null ? "" : "=" + chosen });
  const list = every || names.length === 1 ? null : choice(names, { onchange: () => set(list.value) });
  const box = list ? field(column.name, list) : element("div", { className: "field", role: "group", ariaLabel: column.name },
    element("span", { className: "name" }, column.name),
    element("div", { className: "toggles" }, every ? toggle("every", null) : null, ...names.map(name => toggle(name, name))));
  say();
  return { box, values: () => (value === null ? names : [value]), text: () => value ?? "*",
    read: text => {
      if (text === "*" ? every : names.includes(text)) value = text === "*" ? null : text;
      say();
    } };
}

/** The same for a column of numbers. */
function numberControl({ name, unit, minimum, maximum, period }, varies, changed) {
  const range = element("input", { type: "range", min: 0, max: stops, value: stops / 2, ariaLabel: name });
  const whole = element("input", { type: "checkbox", checked: varies });
  const shown = element("output");
  const round = value => Number(value.toPrecision(5));
  const valueAt = share => round(minimum + share * (maximum - minimum));
  const closed = period > 0 && Math.abs((maximum - minimum) / period % 1) < 1e-6;  // both ends are the same
  const values = () => (whole.checked ? Array.from({ length: steps }, (_, i) => valueAt(i / (closed ? steps : steps - 1)))
    : [valueAt(range.value / stops)]);
  const say = () => {
    range.disabled = whole.checked;
    const text = whole.checked ? `${number(minimum)} to ${number(maximum)}` : number(values()[0]);
    shown.textContent = range.ariaValueText = `${text} ${unit}`;
  };
  const move = () => {
    say();
    changed();
  };
  let playing = 0;
  const play = button("Play", async () => {
    play.textContent = playing ? "Play" : "Pause";
    const mine = playing = playing ? 0 : Date.now();
    whole.checked = false;
    while (playing === mine && mine && range.isConnected) {
      range.value = (+range.value + 1) % (stops + 1);
      say();
      await Promise.all([changed(), new Promise(resolve => setTimeout(resolve, 33))]);
    }
  });
  play.ariaLabel = "Play " + name;
  range.addEventListener("input", move);
  whole.addEventListener("change", move);
  say();
  const box = element("div", { className: "field" },
    element("div", { className: "pair" }, element("span", { className: "name" }, name), shown),
    element("div", { className: "slider" }, play, range),
    element("label", { className: "check" }, whole, ` ${steps} values over the whole range`));
  return { box, values, text: () => (whole.checked ? "*" : String(values()[0])),
    read: text => {
      whole.checked = text === "*";
      if (text !== "*" && Number.isFinite(+text)) range.value = Math.round(stops * (text - minimum) / (maximum - minimum));
      say();
    } };
}

/** All combinations of the columns' values, the last column changing fastest, as objects. */
export const combinations = controls => controls.reduce((rows, [name, control]) =>
  rows.flatMap(row => control.values().map(value => ({ ...row, [name]: value }))), [{}]);
