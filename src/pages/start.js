// Starts a run. The server checks what is typed and says the command that would train it.
import { get, post, ServerError, throttle } from "./api.js";
import { attempt, choice, field, lengthFields, suggest } from "./controls.js";
import { button, code, element, number } from "./pieces.js";

export const title = "New run";

export async function show(main, parts, { server }) {
  if (server.read_only) throw new ServerError("The server is read-only: it starts no runs.", 403);
  const [{ presets }, { keys }, { sources }, { models }] = await Promise.all(
    ["presets", "keys", "data", "models"].map(name => get("/v1/" + name)));
  const data = textField("data", { required: true }), name = textField("name", { required: true });
  const preset = choice([["", "by the data"], ...presets.map(({ name }) => name)], { name: "preset" });
  const about = element("small", { className: "quiet" });
  const length = lengthFields("as the preset");
  const seed = textField("seed", { inputMode: "numeric" }), condition = textField("condition"), init = textField("init");
  const values = valueRows(keys, () => presets.find(({ name }) => name === preset.value)?.values ?? {}, () => check());

  const request = () => {
    const body = { name: name.value.trim(), preset: preset.value, data: data.value.trim(), ...length.value(),
      seed: seed.value.trim(), init: init.value.trim(), condition: condition.value.trim(), set: values.value() };
    return Object.fromEntries(Object.entries(body).filter(([, value]) => value !== ""));  // what is left open is the server's to choose
  };
  const command = code(""), shown = element("div", { hidden: true }, element("h2", {}, "Command"), command);
  const said = element("p", { className: "problem", role: "alert" });
  const mark = (wrong = null) => {
    for (const control of form.elements) control.ariaInvalid = wrong && [wrong, "set." + wrong].includes(control.name) ? "true" : null;
  };
  let checks = 0;
  const check = throttle(async () => {
    const mine = ++checks;
    let answer = null, error = null;
    try {
      answer = await post("/v1/runs", { ...request(), check: true });
    } catch (problem) {
      if (!(problem instanceof ServerError)) throw problem;
      error = problem;
    }
    if (mine !== checks) return;  // more was typed meanwhile
    command.textContent = answer?.command ?? "";
    shown.hidden = !answer;
    // An empty form is not wrong yet.
    const early = error?.field && form.elements[error.field]?.value === "" && !form.elements[error.field].dataset.touched;
    said.textContent = error && !early ? error.message : "";
    mark(early ? null : error?.field);
  }, 300);
  const start = element("button", { type: "submit", className: "strong" }, "Start");
  const form = element("form", { noValidate: true },
    element("div", { className: "fields" },
      field("Data", data, "a built-in name, or a file or folder below the root"), suggest(data, sources.map(source => source.name)),
      field("Name", name, "the run's folder below the root"), element("div", {}, field("Preset", preset), about), length.box),
    element("details", {}, element("summary", {}, "More"),
      element("div", { className: "fields" }, field("Seed", seed, "of all random numbers"),
        field("Condition", condition, "columns of the condition, such as digit,angle; by default the class"),
        field("Start from", init, "a model or run whose weights it takes"), suggest(init, models.map(model => model.name)))),
    values.box, shown, said, start);
  form.addEventListener("input", event => {
    event.target.dataset.touched = "yes";
    about.textContent = presets.find(({ name }) => name === preset.value)?.description ?? "";
    check();
  });
  form.addEventListener("submit", event => {
    event.preventDefault();
    for (const control of form.elements) control.dataset.touched = "yes";
    attempt(start, said, async () => {
      ++checks;
      try {
        const run = await post("/v1/runs", request());
        location.hash = "#/runs/" + encodeURIComponent(run.name);
      } catch (error) {
        mark(error.field);
        throw error;
      }
    });
  });
  main.append(element("h1", {}, title), form);
  check();
}

const textField = (name, properties = {}) =>
  element("input", { name, type: "text", autocomplete: "off", spellcheck: false, ...properties });

/** Any value of a run: rows of those that were chosen from a list that can be searched. */
function valueRows(keys, presetValues, changed) {
  const rows = new Map();  // by key, what gives its value
  const list = element("ul", { className: "keys" }), chosen = element("div", { className: "fields" });
  const search = element("input", { type: "search", autocomplete: "off", placeholder: "lr, widths, batch" });
  const describe = ({ help, minimum, maximum, choices }) => {
    const bounds = [["at least", minimum], ["at most", maximum]].filter(([, bound]) => typeof bound === "number");
    return [help, ...bounds.map(([text, bound]) => `${text} ${number(bound)}`), choices?.length && "one of " + choices.join(", ")]
      .filter(Boolean).join("; ");
  };
  const add = key => {
    const { name, type, choices } = key, given = presetValues()[name] ?? key.default;
    const offered = choices?.length ? choices : type === "boolean" ? ["true", "false"] : null;
    const control = offered ? choice(offered) : textField("", { inputMode: ["integer", "number"].includes(type) ? "decimal" : "text" });
    control.name = "set." + name;
    control.value = [].concat(given ?? "").join(", ");
    const remove = button("Remove", () => {
      rows.delete(name);
      box.remove();
      draw();
      changed();
      search.focus();
    });
    remove.ariaLabel = "Remove " + name;
    const box = element("div", { className: "value" }, field(name, control, describe(key)), remove);
    rows.set(name, () => typed(control.value.trim(), type));
    chosen.append(box);
    draw();
    changed();
    control.focus();
  };
  const draw = () => {
    const words = search.value.toLowerCase().split(/\s+/);
    const found = keys.filter(({ name, help }) => !rows.has(name) && words.every(word => (name + " " + help).toLowerCase().includes(word)));
    list.replaceChildren(...found.map(key => element("li", {}, button(key.name, () => add(key)), " ", describe(key))));
    if (found.length === 0) list.append(element("li", {}, "No other value has these words."));
  };
  search.addEventListener("input", event => {
    event.stopPropagation();  // a search changes nothing of the run
    draw();
  });
  draw();
  const box = element("div", {}, chosen, element("details", {}, element("summary", {}, "Any other value"), field("Search", search), list));
  return { box, value: () => Object.fromEntries([...rows].map(([name, value]) => [name, value()])) };
}

/** What was typed, as a value of this type; what does not fit goes as it is, for the server to refuse. */
function typed(text, type) {
  if (type === "boolean") return text === "true";
  if (type === "integers") return text.split(/[\s,]+/).filter(Boolean).map(each => typed(each, "integer"));
  return type === "text" || text === "" || Number.isNaN(Number(text)) ? text : Number(text);
}
