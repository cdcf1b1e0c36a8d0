#include "data/condition_json.h"

#include <algorithm>
#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

using Json = nlohmann::ordered_json;

namespace {

constexpr const char *kCategorical = "categorical", *kNumeric = "numeric";
constexpr int kMostCategories = 1 << 24;
constexpr std::int64_t kMostFrequencies = 32;

Json to_json(const NumberColumn& column) {
  return {
      {"name", column.name},
      {"kind", kNumeric},
      {"unit", column.unit},
      {"range", {column.minimum, column.maximum}},
      {"deviation", column.deviation},
      {"distinct", column.distinct},
      {"scaling", {{"kind", column.scaling.kind}, {"offset", column.scaling.offset}, {"scale", column.scaling.scale}}},
      {"period", column.period},
      {"fourier", column.fourier}};
}

NumberColumn number_of_json(const Json& json) {
  const Json& scaling = json.at("scaling");
  return {.name = json.at("name").get<std::string>(),
          .unit = json.at("unit").get<std::string>(),
          .minimum = json.at("range").at(0).get<double>(),
          .maximum = json.at("range").at(1).get<double>(),
          .deviation = json.at("deviation").get<double>(),
          .distinct = json.at("distinct").get<std::int64_t>(),
          .scaling = {scaling.at("kind").get<std::string>(), scaling.at("offset").get<double>(),
                      scaling.at("scale").get<double>()},
          .period = json.at("period").get<double>(),
          .fourier = json.at("fourier").get<std::int64_t>()};
}

void require_sound(const NumberColumn& column, const std::string& name, const std::string& where) {
  const bool known = std::ranges::find(scaling_kinds(), column.scaling.kind) != scaling_kinds().end();
  const auto sound = [](double value) { return std::abs(value) <= kLargestNumber; };
  const bool finite = sound(column.minimum) && sound(column.maximum) && sound(column.scaling.offset) &&
                      sound(column.scaling.scale) && column.scaling.scale >= 1 / kLargestNumber &&
                      std::isfinite(column.period) && std::isfinite(column.deviation);
  const bool range = column.minimum < column.maximum && std::isfinite(column.maximum - column.minimum) &&
                     (column.scaling.kind != "log" || column.period > 0 || column.minimum > 0);
  if (!known || !finite || !range || column.period < 0)
    base::fail_data(
        "{}: column \"{}\": a range of {} to {}, scaling {} by {}, period {}; expected a finite range, a known scaling "
        "and no negative period",
        where, name, column.minimum, column.maximum, column.scaling.kind, column.scaling.scale, column.period);
  if (column.fourier < 0 || column.fourier > kMostFrequencies)
    base::fail_data("{}: column \"{}\" with {} frequencies, expected 0 to {}", where, name, column.fourier,
                    kMostFrequencies);
}

}  // namespace

Json to_json(const ConditionSpec& condition) {
  Json json = Json::array();
  for (const ConditionColumn& column : condition.columns) {
    if (column.is_numeric())
      json.push_back(to_json(column.number));
    else
      json.push_back(
          {{"name", column.name}, {"kind", kCategorical}, {"categories", column.categories}, {"names", column.names}});
  }
  return json;
}

ConditionSpec condition_of_json(const Json& json, const std::string& where) {
  ConditionSpec condition;
  for (const Json& entry : json) {
    const auto kind = entry.at("kind").get<std::string>();
    const auto name = entry.at("name").get<std::string>();
    if (kind == kNumeric) {
      condition.columns.push_back({.name = name, .number = number_of_json(entry)});
      continue;
    }
    if (kind != kCategorical)
      base::fail_data("{}: a condition of kind {}; this program reads {} and {}", where, kind, kCategorical, kNumeric);
    const auto categories = entry.at("categories").get<std::int64_t>();
    if (categories < 1 || categories > kMostCategories)
      base::fail_data("{}: {} in a conditional model", where, base::counted(categories, "class", "classes"));
    condition.columns.push_back({.name = name,
                                 .categories = static_cast<int>(categories),
                                 .names = entry.at("names").get<std::vector<std::string>>()});
  }
  require_sound(condition, where);
  return condition;
}

Json to_json(const SampleUnits& units) {
  Json columns = Json::array();
  for (const NumberColumn& column : units.columns) columns.push_back(to_json(column));
  return {{"range", {units.low, units.high}}, {"columns", std::move(columns)}};
}

SampleUnits units_of_json(const Json& json, const std::string& where) {
  SampleUnits units;
  units.low = json.at("range").at(0).get<double>();
  units.high = json.at("range").at(1).get<double>();
  std::set<std::string> seen;
  for (const Json& entry : json.at("columns")) {
    const NumberColumn& column = units.columns.emplace_back(number_of_json(entry));
    require_sound(column, column.name, where);
    if (column.name.empty() || !seen.insert(column.name).second)
      base::fail_data("{}: column \"{}\" of the samples: names must not be empty or repeated", where, column.name);
  }
  if (!(std::abs(units.low) <= kLargestNumber) || !(std::abs(units.high) <= kLargestNumber) ||
      !(units.low < units.high))
    base::fail_data("{}: samples in a range of {} to {}, expected finite numbers, the first smaller", where, units.low,
                    units.high);
  return units;
}

void require_sound(const ConditionSpec& condition, const std::string& where) {
  std::set<std::string> seen;
  for (const ConditionColumn& column : condition.columns) {
    if (column.name.empty() || !seen.insert(column.name).second)
      base::fail_data("{}: condition column \"{}\": names must not be empty or repeated", where, column.name);
    if (column.is_numeric()) {
      require_sound(column.number, column.name, where);
      continue;
    }
    if (column.categories < 1 || column.categories > kMostCategories)
      base::fail_data("{}: {} in a conditional model", where, base::counted(column.categories, "class", "classes"));
    if (!column.names.empty() && column.names.size() != static_cast<std::size_t>(column.categories))
      base::fail_data("{}: {} for {}", where,
                      base::counted(static_cast<std::int64_t>(column.names.size()), "class name"),
                      base::counted(column.categories, "class", "classes"));
    std::set<std::string> names;
    for (const std::string& name : column.names)
      if (!names.insert(name).second) base::fail_data("{}: two classes are called \"{}\"", where, name);
  }
}

}  // namespace gan::data
