#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/dataset.h"

namespace gan::data {

/// A condition as model files and the cache keep it: a list of {"name", "kind": "categorical", "categories", "names"}
/// and {"name", "kind": "numeric", "range", "scaling", ...}.
nlohmann::ordered_json to_json(const ConditionSpec& condition);

/// Reads what to_json wrote. Throws a data error that begins with `where` for an invalid condition, and json's own
/// exceptions for missing or mistyped values.
ConditionSpec condition_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Units of samples to {"range": [low, high], "columns": [...]} and back, with the errors of condition_of_json.
nlohmann::ordered_json to_json(const SampleUnits& units);
SampleUnits units_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Throws a data error that begins with `where` if a condition's columns have no or too many categories, repeated
/// names, not one name for each category, or a scaling that is not known.
void require_sound(const ConditionSpec& condition, const std::string& where);

}  // namespace gan::data
