// Calls by curl and C++ that draw the same samples elsewhere.
import { button, code, element, number } from "./pieces.js";

/** The values of a condition as text. */
export const describe = (row, model) => model.columns.map(({ name, unit }) =>
  [name, typeof row[name] === "number" ? number(row[name]) : row[name], unit].filter(Boolean).join(" ")).join(", ");

const quoted = text => "'" + text.replaceAll("'", "'\\''") + "'";

/** The call of /v1/sample with this body, in a shell. */
export const curl = (body, accept) => `curl -X POST ${location.origin}/v1/sample \\
  -H 'Content-Type: application/json' -H 'Accept: ${accept}' \\
  -d ${quoted(JSON.stringify(body))} \\
  -o samples.${accept === "image/png" ? "png" : "json"}`;

const float = value => (Number.isInteger(value) ? `${value}` : `${value}f`);
const plain = text => text.replaceAll(/[\x00-\x1f\\]/g, " ");  // without what could end a comment

/** The lines that say which latents a request takes. */
function latentLines({ latents, seed, first, truncation }) {
  if (latents) return [`request.latents = {${latents.flat().map(float).join(", ")}};`];
  const given = Object.entries({ seed, first, truncation }).filter(([name, value]) => name === "seed" || value);
  return given.map(([name, value]) => `request.${name} = ${value};`);
}

/** C++ that draws the samples of a request, which has these combinations of values. */
export function cplusplus(body, rows, model) {
  const number = ({ name, categories }, row) => (categories ? categories.indexOf(row[name]) : float(row[name]));
  const values = row => "{" + model.columns.map(column => number(column, row)).join(", ") + "}";
  const draw = `const std::vector<float> samples = sampler.sample(request);  // [${[body.count, ...model.shape].join(", ")}]`;
  const lines = ["#include <gan/sampler.h>", "", `const gan::Sampler sampler(${JSON.stringify(model.name)});`, "gan::Request request;",
    `request.count = ${body.count};`, ...latentLines(body)];
  if (rows.length > 1) {
    lines.push("const std::vector<std::vector<float>> conditions = {",
      ...rows.map(row => `    ${values(row)},  // ${plain(describe(row, model))}`), "};",
      "for (const std::vector<float>& condition : conditions) {", "  request.condition = condition;", "  " + draw,
      ...(body.same_latents ? [] : ["  request.first += request.count;"]), "}");
  } else {
    if (model.columns.length) lines.push(`request.condition = ${values(rows[0])};  // ${plain(describe(rows[0], model))}`);
    lines.push(draw);
  }
  return lines.join("\n");
}

/** Calls with buttons that copy them. `make` gives [name, text] of each, when they are looked at; `fill` asks again. */
export function calls(make) {
  const place = element("div"), box = element("details", {}, element("summary", {}, "The same by curl and C++"), place);
  const show = ([name, text]) => {
    const copy = button("Copy", async () => {
      await navigator.clipboard.writeText(text);
      copy.textContent = "Copied";
    });
    copy.ariaLabel = "Copy the call by " + name;
    return element("div", { className: "call" }, element("strong", {}, name), copy, code(text));
  };
  const fill = () => box.open && place.replaceChildren(...make().map(show));
  box.addEventListener("toggle", fill);
  return { box, fill };
}
