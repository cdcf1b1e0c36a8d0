#include "data/condition_choice.h"

#include <algorithm>
#include <cmath>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "io/csv.h"
#include "io/npy.h"

namespace gan::data {

namespace {

constexpr auto npos = std::string_view::npos;

std::vector<std::string> names_of(const ConditionSpec& spec) {
  std::vector<std::string> names;
  for (const ConditionColumn& column : spec.columns) names.push_back(column.name);
  return names;
}

bool has_name(const ConditionColumn& column, std::string_view text) {
  return std::ranges::find(column.names, text) != column.names.end();
}

// ---- text ----

// The position of the quote that closes the one at `at`.
std::size_t closing_quote(std::string_view text, std::size_t at) {
  const std::size_t begin = at;
  for (++at; at < text.size(); ++at) {
    if (text[at] != '"') continue;
    if (at + 1 == text.size() || text[at + 1] != '"') return at;
    ++at;
  }
  base::fail_usage("a quote is not closed: {}", text.substr(begin));
}

// The column with whose NAME= a text begins, the one with the longest name; -1 if there is none.
int column_at(const ConditionSpec& spec, std::string_view text) {
  int found = -1;
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const std::string& name = spec.columns[c].name;
    const bool longer = found < 0 || name.size() > spec.columns[static_cast<std::size_t>(found)].name.size();
    if (longer && text.starts_with(name) && text.substr(name.size()).starts_with('=')) found = static_cast<int>(c);
  }
  return found;
}

[[noreturn]] void fail_without_column(const ConditionSpec& spec, std::string_view text) {
  const std::size_t equals = text.find('=');
  if (equals == npos)
    base::fail_usage("\"{}\" is no choice; expected NAME=VALUE, where NAME is one of: {}", text,
                     base::joined(names_of(spec)));
  const std::string_view name = text.substr(0, equals);
  base::fail_usage("the model has no condition \"{}\"{}", name, base::did_you_mean(name, names_of(spec)));
}

// Where the values that begin at `at` end: before a comma that another NAME= follows, or at the end of the text.
std::size_t values_end(const ConditionSpec& spec, const ConditionColumn& column, std::string_view text,
                       std::size_t at) {
  std::vector<std::size_t> ends;
  for (std::size_t i = at; i < text.size(); ++i) {
    if (text[i] == '"' && (i == at || text[i - 1] == '|' || text[i - 1] == '=')) {
      if (has_name(column, text.substr(at))) return text.size();  // the name of a category, which may contain quotes
      i = closing_quote(text, i);
    } else if (text[i] == ',') {
      const std::string_view rest = text.substr(i + 1);
      const std::size_t equals = rest.find('=');
      if (column_at(spec, rest) >= 0 || (equals != npos && equals < rest.find(','))) ends.push_back(i);
    }
  }
  ends.push_back(text.size());
  const auto whole = std::find_if(ends.rbegin(), ends.rend(),
                                  [&](std::size_t end) { return has_name(column, text.substr(at, end - at)); });
  return whole == ends.rend() ? ends.front() : *whole;
}

// Throws a usage error for a number without features: one that is not above 0 where the model takes the logarithm.
void require_scalable(const ConditionColumn& column, double value) {
  if (!column.number.accepts(value))
    base::fail_usage("{} {:g}: the model takes its logarithm, expected a number above 0", column.name, value);
}

// Adds the numbers of from:to:count.
void add_range(const ConditionColumn& column, std::string_view text, std::vector<float>& numbers) {
  const std::vector<std::string> parts = base::split(text, ':');
  if (parts.size() != 3)
    base::fail_usage("{} {} is not a range; expected from:to:count, such as 0:90:10", column.name, text);
  const double from = column.parse_number(parts[0]), to = column.parse_number(parts[1]);
  const std::int64_t count = base::parse_number<std::int64_t>(parts[2]).value_or(0);
  if (count < 1 || count > kMostInRange)
    base::fail_usage("{} {}: the count of a range is a whole number from 1 to {}", column.name, text,
                     base::grouped(kMostInRange));
  const double period = column.number.period;
  const bool whole_turn = period > 0 && to != from && std::abs(std::remainder(to - from, period)) < 1e-6 * period;
  const double steps = static_cast<double>(std::max<std::int64_t>(whole_turn ? count : count - 1, 1));
  for (std::int64_t i = 0; i < count; ++i)
    numbers.push_back(static_cast<float>(from + (to - from) * static_cast<double>(i) / steps));
}

}  // namespace

std::int64_t ConditionChoice::count() const {
  return std::visit([](const auto& list) { return static_cast<std::int64_t>(list.size()); }, values);
}

ConditionChoice parse_choice(const ConditionSpec& spec, std::size_t c, std::string_view text) {
  const ConditionColumn& column = spec.columns[c];
  ConditionChoice choice{.column = c};
  std::vector<std::int32_t> categories;
  std::vector<float> numbers;
  const auto add = [&](const std::string& value, bool quoted) {
    if (!column.is_numeric()) {
      categories.push_back(column.parse(value));
    } else if (!quoted && value.find(':') != npos) {
      add_range(column, value, numbers);
      choice.range = true;
    } else {
      numbers.push_back(column.parse_number(value));
    }
  };
  if (has_name(column, text)) {
    add(std::string(text), true);
  } else {
    for (std::size_t at = 0; at <= text.size();) {
      const bool quoted = at < text.size() && text[at] == '"';
      const std::size_t close = quoted ? closing_quote(text, at) : at;
      const std::size_t end = std::min(text.find('|', close), text.size());
      if (quoted && end != close + 1) base::fail_usage("{} {}: text follows a closing quote", column.name, text);
      std::string value(quoted ? text.substr(at + 1, close - at - 1) : text.substr(at, end - at));
      for (std::size_t i = 0; quoted && (i = value.find("\"\"", i)) != npos; ++i) value.erase(i, 1);
      if (value.empty() && !(quoted && has_name(column, value)))
        base::fail_usage("{}{}{}: a value is empty", column.name, text.empty() ? "" : " ", text);
      add(value, quoted);
      at = end + 1;
    }
  }
  for (const float number : numbers) require_scalable(column, number);
  if (column.is_numeric())
    choice.values = std::move(numbers);
  else
    choice.values = std::move(categories);
  return choice;
}

std::vector<ConditionChoice> parse_choices(const ConditionSpec& spec, std::string_view text) {
  std::vector<ConditionChoice> choices;
  for (std::size_t at = 0; at <= text.size();) {
    const int found = column_at(spec, text.substr(at));
    if (found < 0) fail_without_column(spec, text.substr(at));
    const auto c = static_cast<std::size_t>(found);
    at += spec.columns[c].name.size() + 1;
    const std::size_t end = values_end(spec, spec.columns[c], text, at);
    if (std::ranges::find(choices, c, &ConditionChoice::column) != choices.end())
      base::fail_usage("{} is given twice; several values are separated by |, as in {}=A|B", spec.columns[c].name,
                       spec.columns[c].name);
    choices.push_back(parse_choice(spec, c, text.substr(at, end - at)));
    at = end + 1;
  }
  return choices;
}

ConditionChoice every_value(const ConditionSpec& spec, std::size_t c) {
  const ConditionSpec one{{spec.columns[c]}};
  return {.column = c, .values = std::move(values_in_turn(one, values_period(one)).columns[0])};
}

// ---- files ----

namespace {

// Converts texts and numbers in a file to values of a column.
class ColumnReader {
 public:
  // `place`, the option and its file, is for messages.
  ColumnReader(const ConditionColumn& column, std::string place) : column_(column), place_(std::move(place)) {
    bool numbers = !column.names.empty();
    for (std::size_t k = 0; k < column.names.size(); ++k) {
      const std::string& name = column.names[k];
      by_name_[name] = static_cast<std::int32_t>(k);
      const auto number = base::parse_number<std::int64_t>(name);
      numbers = numbers && number;
      if (number) by_number_[static_cast<double>(*number)] = static_cast<std::int32_t>(k);
    }
    if (!numbers) by_number_.clear();
  }

  void reserve(std::int64_t count) {
    (column_.is_numeric() ? numbers_.reserve(static_cast<std::size_t>(count))
                          : categories_.reserve(static_cast<std::size_t>(count)));
  }

  void add(double number, std::int64_t row) {
    if (column_.is_numeric()) {
      if (!std::isfinite(static_cast<float>(number)))
        base::fail_data("{}: {} {} in row {}, expected finite numbers", place_, column_.name, number, row);
      return keep(number, fmt::format("row {}", row));
    }
    if (!by_number_.empty()) {
      const auto found = by_number_.find(number);
      if (found != by_number_.end()) return categories_.push_back(found->second);
      base::fail_data("{}: unknown {} {} in row {}; known: {}", place_, column_.name, number, row,
                      column_.names_text());
    }
    if (!(number >= 0 && number < column_.categories && number == std::floor(number)))
      base::fail_data("{}: {} {} in row {}; the model has 0 to {}", place_, column_.name, number, row,
                      column_.categories - 1);
    categories_.push_back(static_cast<std::int32_t>(number));
  }

  // `row`: "row 3", "line 7".
  void add(const std::string& text, const std::string& row) {
    const auto found = by_name_.find(text);
    if (!column_.is_numeric() && found != by_name_.end()) return categories_.push_back(found->second);
    try {
      if (column_.is_numeric()) return keep(column_.parse_number(text), row);
      categories_.push_back(column_.parse(text));
    } catch (const base::Error& error) {
      base::fail_data("{}: {}: {}", place_, row, error.what());
    }
  }

  ColumnValues take() {
    if (column_.is_numeric()) return std::move(numbers_);
    return std::move(categories_);
  }

 private:
  void keep(double number, const std::string& row) {
    try {
      require_scalable(column_, number);
    } catch (const base::Error& error) {
      base::fail_data("{}: {}: {}", place_, row, error.what());
    }
    numbers_.push_back(static_cast<float>(number));
  }

  const ConditionColumn& column_;
  const std::string place_;
  std::unordered_map<std::string, std::int32_t> by_name_;
  std::unordered_map<double, std::int32_t> by_number_;  // empty unless all names are numbers
  std::vector<float> numbers_;
  std::vector<std::int32_t> categories_;
};

std::vector<ConditionChoice> choices_of(const ConditionSpec& spec, std::vector<ColumnReader>& readers) {
  std::vector<ConditionChoice> choices;
  for (std::size_t c = 0; c < spec.columns.size(); ++c) choices.push_back({.column = c, .values = readers[c].take()});
  return choices;
}

std::vector<ConditionChoice> read_npy_choices(const std::string& path, const ConditionSpec& spec,
                                              const std::string& place) {
  constexpr std::int64_t kRowsReadAtOnce = 1024;
  io::NpyInput input(path);
  const graph::Shape& shape = input.shape();
  const auto columns = static_cast<std::int64_t>(spec.columns.size());
  const bool fits = (shape.size() == 1 && columns == 1) || (shape.size() == 2 && shape[1] == columns);
  if (!fits || input.elements() == 0 || (input.is_text() && columns > 1))
    base::fail_data("{}: found {} of shape {}, expected {}[N{}] with N at least 1", place, input.descr(),
                    graph::to_string(shape), columns > 1 ? "numbers " : "",
                    columns > 1 ? fmt::format(", {}", columns) : "");
  std::vector<ColumnReader> readers;
  for (const ConditionColumn& column : spec.columns) readers.emplace_back(column, place).reserve(shape[0]);
  std::vector<double> numbers;
  for (std::int64_t row = 0; row < shape[0]; row += kRowsReadAtOnce) {
    const auto count = static_cast<std::size_t>(std::min(kRowsReadAtOnce, shape[0] - row) * columns);
    if (input.is_text()) {
      std::int64_t at = row;
      for (const std::string& text : input.read_text(count)) readers[0].add(text, fmt::format("row {}", at++));
      continue;
    }
    numbers.resize(count);
    input.read(numbers);
    for (std::size_t i = 0; i < count; ++i) {
      const auto index = static_cast<std::int64_t>(i);
      readers[static_cast<std::size_t>(index % columns)].add(numbers[i], row + index / columns);
    }
  }
  return choices_of(spec, readers);
}

}  // namespace

std::vector<ConditionChoice> read_choices(const std::string& path, const ConditionSpec& spec,
                                          const std::string& option) {
  const std::string place = option + " " + path;
  if (path.ends_with(".npy")) return read_npy_choices(path, spec, place);
  if (!path.ends_with(".csv") && !path.ends_with(".tsv"))
    base::fail_usage("{}: expected a file called .npy, .csv or .tsv", place);
  const io::Csv table = io::read_csv(path);
  if (table.rows() == 0) base::fail_data("{}: has no rows", place);
  std::vector<ConditionChoice> choices;
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    const ConditionColumn& column = spec.columns[c];
    const auto found = std::ranges::find(table.header(), column.name);
    if (found == table.header().end()) continue;
    ColumnReader reader(column, place);
    reader.reserve(table.rows());
    for (std::int64_t row = 0; row < table.rows(); ++row)
      reader.add(std::string(table.cell(row, static_cast<std::size_t>(found - table.header().begin()))),
                 fmt::format("line {}", table.line(row)));
    choices.push_back({.column = c, .values = reader.take()});
  }
  if (choices.empty())
    base::fail_data("{}: has columns {}, none of the model's condition: {}", place, base::joined(table.header()),
                    base::joined(names_of(spec)));
  return choices;
}

// ---- combinations ----

ConditionGrid::ConditionGrid(std::size_t columns, std::vector<Axis> axes) : columns_(columns), axes_(std::move(axes)) {
  std::vector<int> choices(columns);
  for (const Axis& axis : axes_) {
    if (axis.empty()) base::fail_run("an axis of a condition has no column");
    for (const ConditionChoice& choice : axis) {
      ++choices.at(choice.column);
      if (choice.count() != axis[0].count()) base::fail_run("columns of an axis have different numbers of values");
    }
    if (__builtin_mul_overflow(count_, axis[0].count(), &count_)) count_ = INT64_MAX;
  }
  if (std::ranges::any_of(choices, [](int count) { return count != 1; }))
    base::fail_run("every column of a condition needs one choice");
}

ConditionRows ConditionGrid::rows(std::int64_t first, std::int64_t count, std::int64_t each) const {
  ConditionRows rows;
  rows.columns.resize(columns_);
  std::int64_t repeats = each;  // number of samples after which an axis changes
  for (auto axis = axes_.rbegin(); axis != axes_.rend(); ++axis) {
    const std::int64_t length = (*axis)[0].count();
    for (const ConditionChoice& choice : *axis)
      rows.columns[choice.column] = std::visit(
          [&](const auto& values) {
            std::decay_t<decltype(values)> list(static_cast<std::size_t>(count));
            for (std::int64_t i = 0; i < count; ++i)
              list[static_cast<std::size_t>(i)] = values[static_cast<std::size_t>((first + i) / repeats % length)];
            return ColumnValues(std::move(list));
          },
          choice.values);
    if (__builtin_mul_overflow(repeats, length, &repeats)) repeats = INT64_MAX;
  }
  return rows;
}

std::vector<std::string> outside_notes(const ConditionSpec& spec, const ConditionGrid& grid) {
  std::vector<std::string> notes;
  for (const ConditionGrid::Axis& axis : grid.axes())
    for (const ConditionChoice& choice : axis) {
      const auto* values = std::get_if<std::vector<float>>(&choice.values);
      if (!values) continue;
      const NumberColumn& number = spec.columns[choice.column].number;
      // The bounds are rounded to f32, as the values are.
      const auto outside = [&](float value) {
        return number.outside(value) && value != static_cast<float>(number.minimum) &&
               value != static_cast<float>(number.maximum);
      };
      const auto found = std::ranges::find_if(*values, outside);
      if (found == values->end()) continue;
      const auto count = static_cast<std::int64_t>(std::ranges::count_if(*values, outside));
      notes.push_back(fmt::format("{} {:g}{} outside the range seen in training, {:g} to {:g}{}",
                                  spec.columns[choice.column].name, *found,
                                  count == 1 ? " is" : fmt::format(" and {} are", base::counted(count - 1, "other")),
                                  number.minimum, number.maximum, number.unit.empty() ? "" : " " + number.unit));
    }
  return notes;
}

}  // namespace gan::data
