#include "data/condition.h"

#include <algorithm>
#include <charconv>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

std::string ConditionColumn::name_of(std::int32_t category) const {
  return names.empty() ? std::to_string(category) : names[static_cast<std::size_t>(category)];
}

std::int32_t ConditionColumn::parse(std::string_view text) const {
  const auto named = std::find(names.begin(), names.end(), text);
  if (named != names.end()) return static_cast<std::int32_t>(named - names.begin());
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error != std::errc::invalid_argument && end == text.data() + text.size();
  if (is_number && error == std::errc() && number >= 0 && number < categories) return number;
  if (names.empty())
    base::fail_usage("{} \"{}\" is {}: {}s are 0 to {}", name, text, is_number ? "out of range" : "not a whole number",
                     name, categories - 1);
  if (is_number)
    base::fail_usage("{} {} is out of range: {}s are 0 to {}, or {}", name, text, name, categories - 1,
                     base::joined(names));
  base::fail_usage("unknown {} \"{}\"{} ({}s are 0 to {}, or names)", name, text, base::did_you_mean(text, names), name,
                   categories - 1);
}

const std::vector<std::string>& ConditionSpec::class_names() const {
  static const std::vector<std::string> none;
  return columns.size() == 1 ? columns[0].names : none;
}

std::string ConditionSpec::text() const {
  if (columns.empty()) return "unconditional";
  if (columns.size() == 1) return base::counted(columns[0].categories, "class", "classes");
  std::string text;
  for (const ConditionColumn& column : columns)
    text +=
        (text.empty() ? "" : ", ") + column.name + " of " + base::counted(column.categories, "category", "categories");
  return text;
}

ConditionSpec label_condition(int classes, std::vector<std::string> names) {
  if (classes == 0) return {};
  return {{{.name = "label", .categories = classes, .names = std::move(names)}}};
}

ConditionRows ConditionRows::slice(std::int64_t first, std::int64_t count) const {
  ConditionRows part;
  for (const std::vector<std::int32_t>& column : columns)
    part.columns.emplace_back(column.begin() + first, column.begin() + first + count);
  return part;
}

ConditionRows ConditionRows::select(std::span<const std::uint32_t> indices) const {
  ConditionRows part;
  for (const std::vector<std::int32_t>& column : columns) {
    std::vector<std::int32_t>& chosen = part.columns.emplace_back();
    for (const std::uint32_t index : indices) chosen.push_back(column[index]);
  }
  return part;
}

ConditionRows categories_in_turn(const ConditionSpec& spec, std::int64_t count) {
  if (spec.empty()) return {};
  if (spec.columns.size() > 1)
    base::fail_usage("a condition of {} has no default rows; give the rows to draw",
                     base::counted(static_cast<std::int64_t>(spec.columns.size()), "column"));
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) labels.push_back(static_cast<std::int32_t>(i % spec.columns[0].categories));
  return labels;
}

void require_rows(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t count) {
  if (rows.columns.size() != spec.columns.size())
    base::fail_usage("a condition of {} for a model of {}",
                     base::counted(static_cast<std::int64_t>(rows.columns.size()), "column"),
                     base::counted(static_cast<std::int64_t>(spec.columns.size()), "column"));
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const ConditionColumn& column = spec.columns[c];
    if (static_cast<std::int64_t>(rows.columns[c].size()) != count)
      base::fail_usage("{} for {}", base::counted(static_cast<std::int64_t>(rows.columns[c].size()), column.name),
                       base::counted(count, "sample"));
    for (const std::int32_t value : rows.columns[c])
      if (value < 0 || value >= column.categories)
        base::fail_usage("{} {}; the model has 0 to {}", column.name, value, column.categories - 1);
  }
}

}  // namespace gan::data
