#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

namespace gan::runs {

/// Parses JSON; nullopt if the text is not JSON or is nested deeper than 32 levels.
std::optional<nlohmann::ordered_json> parse_json(const std::string& text);

/// Whether a value has the form of reasons for missing scores, an object of texts.
bool is_reasons(const nlohmann::ordered_json& missing);

/// Reads a JSONL file of a run as columns {"step": [...], KEY: [...]}, with null for missing numbers and without keys
/// that no line has; "missing" is taken from the last line that has it. Null if the file is missing or has no valid
/// line. Adds a note about ignored lines to the list `notes`.
nlohmann::ordered_json read_lines(const std::string& path, std::span<const char* const> keys,
                                  nlohmann::ordered_json& notes);

/// The scores of a run's folder: those of eval/eval.json, else the last of scores.jsonl, else null. With `steps` only
/// those of the model after so many steps.
nlohmann::ordered_json scores_of(const std::string& folder, std::optional<std::int64_t> steps = std::nullopt);

}  // namespace gan::runs
