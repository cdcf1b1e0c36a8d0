// Controls that pages of the studio share.
import { ServerError } from "./api.js";
import { element } from "./pieces.js";

let fields = 0;

/** A control with its label above and a help text below. */
export function field(label, control, help = null) {
  control.id ||= "field-" + ++fields;
  if (help) control.setAttribute("aria-describedby", control.id + "-help");
  return element("div", { className: "field" }, element("label", { htmlFor: control.id }, label), control,
    help && element("small", { id: control.id + "-help" }, help));
}

/** A choice among [value, text] or values. */
export const choice = (options, properties = {}) => element("select", properties,
  ...options.map(option => element("option", { value: [].concat(option)[0] }, [].concat(option).at(-1))));

/** Suggestions for a text field: `control` takes them from a list with what a server names. */
export function suggest(control, values) {
  const list = element("datalist", { id: "list-" + ++fields }, ...values.map(value => element("option", { value })));
  control.setAttribute("list", list.id);
  return list;
}

/** How long to train: a count and its unit; `value` is what a request says of it, nothing if no count is given. */
export function lengthFields(none) {
  const count = element("input", { type: "number", min: 0, step: "any", placeholder: none });
  const unit = choice([["m", "minutes"], ["h", "hours"], "steps", "epochs"], { ariaLabel: "Unit" });
  const box = field("Train for", count), pair = element("span", { className: "pair" });
  count.replaceWith(pair);
  pair.append(count, unit);
  const value = () => {
    if (!count.value) return {};
    return ["m", "h"].includes(unit.value) ? { time: count.value + unit.value } : { [unit.value]: Number(count.value) };
  };
  return { box, value };
}

/** Runs what a button does, once at a time; what the server says against it is shown in `place`. */
export async function attempt(button, place, action) {
  place.textContent = "";
  button.disabled = true;
  try {
    await action();
  } catch (error) {
    if (!(error instanceof ServerError)) throw error;
    place.textContent = error.message;
  } finally {
    button.disabled = false;
  }
}

/** Seconds as text. */
export function duration(seconds) {
  const s = Math.round(seconds), parts = [[Math.floor(s / 3600), "h"], [Math.floor(s / 60) % 60, "min"], [s % 60, "s"]];
  const first = parts.findIndex(([count]) => count > 0);
  return first < 0 ? "0 s" : parts.slice(first, first + 2).filter(([count]) => count > 0).map(part => part.join(" ")).join(" ");
}

/** The state of a run as a word in a colour; `say` changes it. */
export function badge(state) {
  const box = element("span");
  const say = word => {
    if (box.textContent !== word) Object.assign(box, { className: "badge " + word, textContent: word });  // else it is read out again
  };
  say(state);
  return { box, say };
}
