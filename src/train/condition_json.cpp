#include "train/condition_json.h"

#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace gan::train {

using Json = nlohmann::ordered_json;

namespace {
constexpr const char* kCategorical = "categorical";
constexpr int kMostCategories = 1 << 24;
}  // namespace

Json to_json(const data::ConditionSpec& condition) {
  Json json = Json::array();
  for (const data::ConditionColumn& column : condition.columns)
    json.push_back(
        {{"name", column.name}, {"kind", kCategorical}, {"categories", column.categories}, {"names", column.names}});
  return json;
}

data::ConditionSpec condition_of_json(const Json& json, const std::string& where) {
  data::ConditionSpec condition;
  for (const Json& entry : json) {
    const auto kind = entry.at("kind").get<std::string>();
    if (kind != kCategorical)
      base::fail_data("{}: a condition of kind {}; this program reads {}", where, kind, kCategorical);
    condition.columns.push_back({.name = entry.at("name").get<std::string>(),
                                 .categories = entry.at("categories").get<int>(),
                                 .names = entry.at("names").get<std::vector<std::string>>()});
  }
  require_sound(condition, where);
  return condition;
}

void require_sound(const data::ConditionSpec& condition, const std::string& where) {
  std::set<std::string> seen;
  for (const data::ConditionColumn& column : condition.columns) {
    if (column.name.empty() || !seen.insert(column.name).second)
      base::fail_data("{}: condition column \"{}\": names must not be empty or repeated", where, column.name);
    if (column.categories < 1 || column.categories > kMostCategories)
      base::fail_data("{}: {} in a conditional model", where, base::counted(column.categories, "class", "classes"));
    if (!column.names.empty() && column.names.size() != static_cast<std::size_t>(column.categories))
      base::fail_data("{}: {} for {}", where,
                      base::counted(static_cast<std::int64_t>(column.names.size()), "class name"),
                      base::counted(column.categories, "class", "classes"));
  }
}

}  // namespace gan::train
