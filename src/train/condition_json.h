#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "data/condition.h"

namespace gan::train {

/// A condition as model files and checkpoints keep it: [{"name", "kind": "categorical", "categories", "names"}, ...].
nlohmann::ordered_json to_json(const data::ConditionSpec& condition);

/// Reads what to_json wrote. Throws a data error that begins with `where` for what no condition can be, and json's own
/// exceptions for missing or mistyped values.
data::ConditionSpec condition_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Throws a data error that begins with `where` if a condition's columns have no categories, too many, one name twice,
/// or names that are not as many as the categories.
void require_sound(const data::ConditionSpec& condition, const std::string& where);

}  // namespace gan::train
