#include "data/condition.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

namespace {

constexpr std::int64_t kNumbersInTurn = 8;

/// Whether all names are integers.
bool all_integers(std::span<const std::string> names) {
  return std::ranges::all_of(
      names, [](const std::string& name) { return base::parse_number<std::int64_t>(name).has_value(); });
}

/// The number of values of a column through which values_in_turn cycles.
std::int64_t period_of(const ConditionColumn& column) {
  return column.is_numeric() ? kNumbersInTurn : column.categories;
}

}  // namespace

std::string ConditionColumn::name_of(std::int32_t category) const {
  return names.empty() ? std::to_string(category) : names[static_cast<std::size_t>(category)];
}

std::string ConditionColumn::names_text() const {
  constexpr std::size_t kMostNamesShown = 20;
  if (names.empty()) return fmt::format("0 to {}", categories - 1);
  if (names.size() <= kMostNamesShown) return base::joined(names);
  return fmt::format("{}, ... ({} names)", base::joined(std::span(names).first(kMostNamesShown)), names.size());
}

std::int32_t ConditionColumn::parse(std::string_view text) const {
  const auto named = std::find(names.begin(), names.end(), text);
  if (named != names.end()) return static_cast<std::int32_t>(named - names.begin());
  std::int32_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  const bool is_number = error != std::errc::invalid_argument && end == text.data() + text.size();
  const bool names_are_numbers = !names.empty() && all_integers(names);
  if (is_number && error == std::errc() && number >= 0 && number < categories && !names_are_numbers) return number;
  if (names_are_numbers) base::fail_usage("unknown {} \"{}\"; known: {}", name, text, names_text());
  if (names.empty())
    base::fail_usage("{} \"{}\" is {}: expected 0 to {}", name, text, is_number ? "out of range" : "not a whole number",
                     categories - 1);
  if (is_number)
    base::fail_usage("{} {} is out of range: expected 0 to {}, or {}", name, text, categories - 1, names_text());
  base::fail_usage("unknown {} \"{}\"{} (expected 0 to {}, or a name)", name, text, base::did_you_mean(text, names),
                   categories - 1);
}

float ConditionColumn::parse_number(std::string_view text) const {
  const auto number = base::parse_number<double>(text);
  if (!number || !std::isfinite(static_cast<float>(*number))) base::fail_usage("{} \"{}\" is not a number", name, text);
  return static_cast<float>(*number);
}

const std::vector<std::string>& ConditionSpec::class_names() const {
  static const std::vector<std::string> none;
  return columns.size() == 1 ? columns[0].names : none;
}

int ConditionSpec::find(std::string_view name) const {
  const auto found = std::ranges::find(columns, name, &ConditionColumn::name);
  return found == columns.end() ? -1 : static_cast<int>(found - columns.begin());
}

std::string ConditionSpec::text() const {
  if (columns.empty()) return "unconditional";
  if (classes() > 0) return base::counted(columns[0].categories, "class", "classes");
  std::string text;
  for (const ConditionColumn& column : columns) {
    if (!text.empty()) text += ", ";
    if (!column.is_numeric()) {
      text += column.name + " of " + base::counted(column.categories, "category", "categories");
      continue;
    }
    const NumberColumn& number = column.number;
    text += fmt::format("{} from {:g} to {:g}{}", column.name, number.minimum, number.maximum,
                        number.unit.empty() ? "" : " " + number.unit);
    if (number.period > 0) text += fmt::format(" with period {:g}", number.period);
  }
  return text;
}

ConditionSpec label_condition(int classes, std::vector<std::string> names) {
  if (classes == 0) return {};
  return {{{.name = "label", .categories = classes, .names = std::move(names)}}};
}

std::int64_t ConditionRows::count() const {
  if (columns.empty()) return 0;
  return std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); }, columns[0]);
}

std::span<const std::int32_t> ConditionRows::categories(std::size_t c) const {
  const auto* values = std::get_if<std::vector<std::int32_t>>(&columns.at(c));
  if (!values) base::fail_run("column {} of a condition holds numbers, not categories", c);
  return *values;
}

std::span<const float> ConditionRows::numbers(std::size_t c) const {
  const auto* values = std::get_if<std::vector<float>>(&columns.at(c));
  if (!values) base::fail_run("column {} of a condition holds categories, not numbers", c);
  return *values;
}

std::span<const std::int32_t> ConditionRows::labels() const {
  if (columns.size() != 1 || !std::holds_alternative<std::vector<std::int32_t>>(columns[0])) return {};
  return categories(0);
}

ConditionRows ConditionRows::slice(std::int64_t first, std::int64_t count) const {
  ConditionRows part;
  for (const ColumnValues& column : columns)
    part.columns.push_back(std::visit(
        [&](const auto& values) {
          const auto begin = values.begin() + first;
          return ColumnValues(std::decay_t<decltype(values)>(begin, begin + count));
        },
        column));
  return part;
}

ConditionRows ConditionRows::select(std::span<const std::uint32_t> indices) const {
  ConditionRows part;
  for (const ColumnValues& column : columns)
    part.columns.push_back(std::visit(
        [&](const auto& values) {
          std::decay_t<decltype(values)> chosen;
          chosen.reserve(indices.size());
          for (const std::uint32_t index : indices) chosen.push_back(values[index]);
          return ColumnValues(std::move(chosen));
        },
        column));
  return part;
}

void ConditionRows::append(const ConditionRows& more) {
  if (columns.empty()) columns.resize(more.columns.size());
  for (std::size_t c = 0; c < columns.size(); ++c) {
    if (columns[c].index() != more.columns[c].index())
      columns[c] = std::visit(
          [](auto values) {
            values.clear();
            return ColumnValues(values);
          },
          more.columns[c]);
    std::visit(
        [&](auto& values) {
          const auto& added = std::get<std::decay_t<decltype(values)>>(more.columns[c]);
          values.insert(values.end(), added.begin(), added.end());
        },
        columns[c]);
  }
}

std::int64_t values_period(const ConditionSpec& spec) {
  std::int64_t period = 1;
  for (const ConditionColumn& column : spec.columns)
    if (__builtin_mul_overflow(period, period_of(column), &period)) return INT64_MAX;
  return period;
}

ConditionRows values_in_turn(const ConditionSpec& spec, std::int64_t count) {
  ConditionRows rows;
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const ConditionColumn& column = spec.columns[c];
    const std::int64_t values = period_of(column);
    // How many rows this column keeps a value, while the columns after it take all combinations of theirs.
    const std::int64_t repeat =
        values_period({{spec.columns.begin() + static_cast<std::ptrdiff_t>(c) + 1, spec.columns.end()}});
    std::vector<std::int32_t> turns;
    for (std::int64_t i = 0; i < count; ++i) turns.push_back(static_cast<std::int32_t>(i / repeat % values));
    if (!column.is_numeric()) {
      rows.columns.emplace_back(std::move(turns));
      continue;
    }
    std::vector<float> numbers;
    const NumberColumn& number = column.number;
    const bool whole_turn = number.period > 0;  // the end of a period is its beginning, so it is left out
    const double begin = whole_turn ? 0 : number.minimum, end = whole_turn ? number.period : number.maximum;
    const double steps = static_cast<double>(whole_turn ? values : values - 1);
    for (const std::int32_t turn : turns) numbers.push_back(static_cast<float>(begin + (end - begin) * turn / steps));
    rows.columns.emplace_back(std::move(numbers));
  }
  return rows;
}

std::string row_text(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t row) {
  std::string text;
  const auto index = static_cast<std::size_t>(row);
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const ConditionColumn& column = spec.columns[c];
    const std::string value =
        column.is_numeric() ? fmt::format("{:g}", rows.numbers(c)[index]) : column.name_of(rows.categories(c)[index]);
    text += spec.classes() > 0 ? value : (c > 0 ? ", " : "") + column.name + "=" + value;
  }
  return text;
}

void require_rows(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t count) {
  if (rows.columns.size() != spec.columns.size())
    base::fail_usage("a condition of {} for a model of {}",
                     base::counted(static_cast<std::int64_t>(rows.columns.size()), "column"),
                     base::counted(static_cast<std::int64_t>(spec.columns.size()), "column"));
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const ConditionColumn& column = spec.columns[c];
    if (std::holds_alternative<std::vector<float>>(rows.columns[c]) != column.is_numeric())
      base::fail_usage("{} takes {}", column.name,
                       column.is_numeric() ? "numbers, not categories" : "categories, not numbers");
    const auto found =
        std::visit([](const auto& values) { return static_cast<std::int64_t>(values.size()); }, rows.columns[c]);
    if (found != count)
      base::fail_usage("{}: {} for {}", column.name, base::counted(found, "value"), base::counted(count, "sample"));
    if (column.is_numeric()) {
      for (const float value : rows.numbers(c))
        if (!column.number.accepts(static_cast<double>(value)))
          base::fail_usage(
              "{} {}; expected {}", column.name, value,
              std::isfinite(value) ? "numbers above 0, whose logarithm the model takes" : "finite numbers");
      continue;
    }
    for (const std::int32_t value : rows.categories(c))
      if (value < 0 || value >= column.categories)
        base::fail_usage("{} {}; the model has 0 to {}", column.name, value, column.categories - 1);
  }
}

}  // namespace gan::data
