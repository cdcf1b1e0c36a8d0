#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/condition.h"

namespace gan::train {

/// A condition as model files and checkpoints keep it: [{"name", "kind": "categorical", "categories", "names"}, ...].
nlohmann::ordered_json to_json(const data::ConditionSpec& condition);

/// Reads what to_json wrote. Throws a data error that begins with `where` for an invalid condition, and json's own
/// exceptions for missing or mistyped values.
data::ConditionSpec condition_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Throws a data error that begins with `where` if a condition's columns have no or too many categories, repeated
/// names, or not one name for each category.
void require_sound(const data::ConditionSpec& condition, const std::string& where);

}  // namespace gan::train
