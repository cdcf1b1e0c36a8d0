#include "runs/files.h"

#include <fmt/core.h>

#include <algorithm>
#include <filesystem>

#include "base/file.h"
#include "base/text.h"

namespace gan::runs {

namespace {

using Json = nlohmann::ordered_json;

constexpr int kDeepestJson = 32;

/// What is wrong with a line of metrics.jsonl or scores.jsonl; "" if it is valid.
std::string fault_of(const std::optional<Json>& line, std::span<const char* const> keys) {
  if (!line || !line->is_object() || !line->contains("step") || !(*line)["step"].is_number_integer())
    return "not a JSON object with a \"step\"";
  for (const char* key : keys)
    if (const Json value = line->value(key, Json()); !value.is_number() && !value.is_null())
      return fmt::format("\"{}\" is not a number", key);
  return "";
}

}  // namespace

bool is_reasons(const Json& missing) {
  return missing.is_object() && std::ranges::all_of(missing, [](const Json& reason) { return reason.is_string(); });
}

std::optional<Json> parse_json(const std::string& text) {
  int depth = 0;
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (quoted && c == '\\')
      ++i;
    else if (c == '"')
      quoted = !quoted;
    else if (!quoted && (c == '[' || c == '{') && ++depth > kDeepestJson)
      return std::nullopt;
    else if (!quoted && (c == ']' || c == '}'))
      --depth;
  }
  Json json = Json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (json.is_discarded()) return std::nullopt;
  return json;
}

Json read_lines(const std::string& path, std::span<const char* const> keys, Json& notes) {
  if (!std::filesystem::exists(path)) return nullptr;
  const std::string text = base::read_file(path);
  Json columns{{"step", Json::array()}};
  for (const char* key : keys) columns[key] = Json::array();
  std::size_t number = 0, bad = 0;
  std::string first_fault;
  for (std::size_t begin = 0; begin < text.size();) {
    ++number;
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::optional<Json> line = parse_json(text.substr(begin, end - begin));
    begin = end + 1;
    if (!line && end == text.size()) {  // the run was killed, or is still training
      notes.push_back(fmt::format("{}: the last line was cut short and is left out.", path));
      break;
    }
    if (const std::string fault = fault_of(line, keys); !fault.empty()) {
      if (++bad == 1) first_fault = fmt::format("line {}: {}", number, fault);
      continue;
    }
    columns["step"].push_back((*line)["step"]);
    for (const char* key : keys) columns[key].push_back(line->value(key, Json()));
    if (line->contains("missing") && is_reasons((*line)["missing"])) columns["missing"] = (*line)["missing"];
  }
  if (bad > 0)
    notes.push_back(fmt::format("{}: {} left out ({}{}).", path,
                                bad == 1 ? "a line is" : base::grouped(bad) + " lines are",
                                bad == 1 ? "" : "the first is ", first_fault));
  if (columns["step"].empty()) return nullptr;
  for (const char* key : keys)
    if (std::ranges::all_of(columns[key], [](const Json& value) { return value.is_null(); })) columns.erase(key);
  return columns;
}

Json scores_of(const std::string& folder, std::optional<std::int64_t> steps) {
  const std::filesystem::path path(folder);
  std::error_code ignored;
  if (std::filesystem::is_regular_file(path / "eval/eval.json", ignored))
    if (std::optional<Json> eval = parse_json(base::read_file((path / "eval/eval.json").string())))
      if (eval->is_object() && (!steps || eval->value("steps", Json()) == *steps)) return *eval;
  static constexpr const char* kKeys[] = {"label_accuracy", "fd", "precision", "recall", "coverage", "ks", "score"};
  Json notes = Json::array(), scores;
  const Json lines = read_lines((path / "scores.jsonl").string(), kKeys, notes);
  if (lines.is_null()) return scores;
  std::size_t chosen = lines["step"].size();
  while (chosen > 0 && steps && lines["step"][chosen - 1] != *steps) --chosen;
  if (chosen == 0) return scores;
  for (const auto& [key, values] : lines.items())
    if (key != "missing") scores[key] = values[chosen - 1];
  return scores;
}

}  // namespace gan::runs
