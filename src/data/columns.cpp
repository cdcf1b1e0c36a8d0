#include "data/columns.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"

namespace gan::data {

namespace {

// Parses a text as a number; none if it is not one, infinity if it is too large.
std::optional<double> number_in(std::string_view text) {
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error == std::errc::invalid_argument || end != text.data() + text.size()) return std::nullopt;
  if (error == std::errc::result_out_of_range && text.find("e-") == text.npos && text.find("E-") == text.npos)
    return std::numeric_limits<double>::infinity();
  return error == std::errc() ? value : 0;
}

constexpr double kSmallestPeriod = 1e-30;  // positions in smaller periods do not fit into f32

bool fits_f32(double value) { return std::abs(value) <= std::numeric_limits<float>::max(); }

// A cell quoted for messages: on one line, shortened if it is long.
std::string quoted(std::string_view cell) {
  constexpr std::size_t kLongestCell = 40;
  std::string text(cell.substr(0, kLongestCell));
  if (cell.size() > kLongestCell) {
    while (!text.empty() && !base::is_utf8(text)) text.pop_back();
    text += "...";
  }
  for (char& c : text)
    if (base::is_control(c)) c = ' ';
  return '"' + text + '"';
}

// Whether a cell is digits, a comma and digits: "3,5".
bool has_decimal_comma(std::string_view cell) {
  const std::size_t comma = cell.find(',');
  if (comma == std::string_view::npos) return false;
  std::string with_point(cell);
  with_point[comma] = '.';
  return number_in(with_point).has_value();
}

// Parses "name:value,name:value". Names may contain colons: the last colon separates.
std::vector<std::pair<std::string, std::string>> pairs_of(std::string_view text, std::string_view option,
                                                          std::string_view example) {
  std::vector<std::pair<std::string, std::string>> pairs;
  for (const std::string& part : list_of(text)) {
    const std::size_t colon = part.rfind(':');
    if (colon == std::string::npos || colon == 0 || colon + 1 == part.size())
      base::fail_usage("{} \"{}\": expected NAME:VALUE, such as {}", option, part, example);
    pairs.emplace_back(base::trimmed(std::string_view(part).substr(0, colon)),
                       base::trimmed(std::string_view(part).substr(colon + 1)));
  }
  return pairs;
}

std::vector<std::pair<std::string, std::string>> scalings(const ReadOptions& options) {
  auto pairs = pairs_of(options.scaling, "scaling", "price:log");
  for (const auto& [name, kind] : pairs) {
    const std::span<const std::string_view> kinds = scaling_kinds();
    const std::vector<std::string> known(kinds.begin(), kinds.end());
    if (std::ranges::find(known, kind) == known.end())
      base::fail_usage("scaling of {}: unknown kind \"{}\"; known: {}", name, kind, base::joined(known));
  }
  return pairs;
}

std::vector<std::pair<std::string, double>> periods(const ReadOptions& options) {
  std::vector<std::pair<std::string, double>> out;
  for (const auto& [name, text] : pairs_of(options.periodic, "periodic", "angle:360")) {
    const double period = number_in(text).value_or(0);
    if (!(period > kSmallestPeriod) || !fits_f32(period))
      base::fail_usage("period of {}: \"{}\", expected a number above 0, such as angle:360", name, text);
    out.emplace_back(name, period);
  }
  return out;
}

bool contains(std::span<const std::string> names, const std::string& name) {
  return std::ranges::find(names, name) != names.end();
}

bool is_named_categorical(const std::string& name, const ReadOptions& options) {
  return contains(list_of(options.categorical), name);
}

// Whether an option makes a column numeric.
bool is_named_numeric(const std::string& name, const ReadOptions& options) {
  return period_of(options, name) > 0 || !scaling_of(options, name).empty();
}

std::pair<ConditionColumn, ColumnValues> numeric(const std::string& name, std::vector<float> values,
                                                 const ReadOptions& options, const std::string& path) {
  const double period = period_of(options, name);
  std::string kind = scaling_of(options, name);
  if (kind.empty() && period > 0) kind = "none";  // its features are sine and cosine, whatever its scale
  ConditionColumn column;
  column.name = name;
  column.number = number_column(name, values, kind, path);
  column.number.period = period;
  column.number.fourier = options.fourier;
  return {std::move(column), std::move(values)};
}

// Whether there are exactly two distinct values.
bool has_two_values(std::span<const float> values) {
  std::optional<float> other;
  for (const float value : values) {
    if (value == values[0]) continue;
    if (other && value != *other) return false;
    other = value;
  }
  return other.has_value();
}

// Whether the numbers of this column are taken as categories without an option: if there are two values.
bool is_flag(const std::string& name, std::span<const float> values, const ReadOptions& options) {
  return !is_named_numeric(name, options) && has_two_values(values);
}

}  // namespace

TextColumns columns_of(const io::Csv& csv) {
  return {.path = csv.path(),
          .names = csv.header(),
          .rows = csv.rows(),
          .cell = [&csv](std::int64_t row, std::size_t column) { return csv.cell(row, column); },
          .place = [&csv](std::int64_t row) { return fmt::format("line {}", csv.line(row)); }};
}

std::size_t TextColumns::find(const std::string& name, std::string_view option) const {
  const auto found = std::ranges::find(names, name);
  if (found == names.end())
    base::fail_usage("{}: {} has no column \"{}\"{}", option, path, name, base::did_you_mean(name, names));
  return static_cast<std::size_t>(found - names.begin());
}

std::vector<std::string> list_of(std::string_view text) {
  std::vector<std::string> parts = base::split(text, ',');
  for (std::string& part : parts) part = std::string(base::trimmed(part));
  if (!parts.empty() && parts.back().empty()) parts.pop_back();  // a comma at the end
  return parts;
}

std::string scaling_of(const ReadOptions& options, const std::string& column) {
  for (const auto& [name, kind] : scalings(options))
    if (name == column) return kind;
  return "";
}

double period_of(const ReadOptions& options, const std::string& column) {
  for (const auto& [name, period] : periods(options))
    if (name == column) return period;
  return 0;
}

std::vector<std::string> conditions_by_option(const ReadOptions& options) {
  std::vector<std::string> names = list_of(options.categorical);
  for (const auto& [name, period] : periods(options)) names.push_back(name);
  return names;
}

void check_columns(const ReadOptions& options, std::span<const std::string> names, const std::string& path) {
  const std::vector<std::string> targets = list_of(options.target), conditions = list_of(options.condition),
                                 categorical = list_of(options.categorical);
  std::vector<std::string> scaled, periodic;
  for (const auto& [name, kind] : scalings(options)) scaled.push_back(name);
  for (const auto& [name, period] : periods(options)) periodic.push_back(name);
  const std::pair<std::string_view, const std::vector<std::string>&> lists[] = {{"target", targets},
                                                                                {"condition", conditions},
                                                                                {"categorical", categorical},
                                                                                {"scaling", scaled},
                                                                                {"periodic", periodic}};
  for (const auto& [option, list] : lists)
    for (std::size_t i = 0; i < list.size(); ++i) {
      if (!contains(names, list[i]))
        base::fail_usage("{}: {} has no column \"{}\"{}", option, path, list[i], base::did_you_mean(list[i], names));
      if (contains(std::span(list).first(i), list[i]))
        base::fail_usage("{}: column {} is there twice", option, list[i]);
    }
  for (const std::string& target : targets) {
    if (contains(conditions, target))
      base::fail_usage("column {} is both target and condition: what is generated cannot be its own condition", target);
    if (contains(categorical, target))
      base::fail_usage("column {} is a target, whose values are numbers; categorical is for conditions", target);
    if (contains(periodic, target)) base::fail_usage("column {} is a target; periodic is for conditions", target);
  }
  for (const std::string& name : categorical)
    if (contains(scaled, name) || contains(periodic, name))
      base::fail_usage("column {} is categorical, so it has no scaling and no period", name);
}

bool is_missing(std::string_view cell) {
  constexpr std::size_t kLongestMissing = 4;
  if (cell.size() > kLongestMissing) return false;
  for (const std::string_view word : {"", "?", "NA", "N/A", "NaN", "nan", "NAN", "null", "NULL"})
    if (cell == word) return true;
  return false;
}

std::vector<std::uint32_t> complete_rows(const TextColumns& table, std::span<const std::size_t> columns,
                                         const ReadOptions& options, std::vector<std::string>& notes) {
  if (options.missing != "refuse" && options.missing != "drop")
    base::fail_usage("missing \"{}\": expected refuse or drop", options.missing);
  if (table.rows > std::numeric_limits<std::uint32_t>::max())
    base::fail_data("{}: has {} rows, at most {} can be read", table.path, table.rows,
                    std::numeric_limits<std::uint32_t>::max());
  std::vector<std::uint32_t> rows;
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const auto missing =
        std::ranges::find_if(columns, [&](std::size_t column) { return is_missing(table.cell(row, column)); });
    if (missing == columns.end())
      rows.push_back(static_cast<std::uint32_t>(row));
    else if (options.missing == "refuse")
      base::fail_data("{}: {}, column {}: the value is missing ({}); --missing drop leaves such rows out", table.path,
                      table.place(row), table.names[*missing], quoted(table.cell(row, *missing)));
  }
  const auto dropped = table.rows - static_cast<std::int64_t>(rows.size());
  if (rows.empty() && dropped > 0) base::fail_data("{}: every row misses a value", table.path);
  if (dropped > 0)
    notes.push_back(fmt::format("{} of {} left out, since they miss a value",
                                base::grouped(static_cast<std::uint64_t>(dropped)), base::counted(table.rows, "row")));
  return rows;
}

bool is_number_column(const TextColumns& table, std::size_t column) {
  std::int64_t numbers = 0, words = 0;
  for (std::int64_t row = 0; row < table.rows; ++row) {
    const std::string_view cell = table.cell(row, column);
    if (is_missing(cell)) continue;
    ++(number_in(cell) || has_decimal_comma(cell) ? numbers : words);
  }
  return numbers > words;
}

std::vector<float> numbers_of(const TextColumns& table, std::size_t column, std::span<const std::uint32_t> rows) {
  std::vector<float> values;
  values.reserve(rows.size());
  const auto refuse = [&](std::int64_t row, std::string_view why) {
    base::fail_data("{}: {}, column {}: {} {}", table.path, table.place(row), table.names[column],
                    quoted(table.cell(row, column)), why);
  };
  for (const std::uint32_t row : rows) {
    const std::string_view cell = table.cell(row, column);
    const std::optional<double> value = number_in(cell);
    if (!value) refuse(row, has_decimal_comma(cell) ? "has a decimal comma; write a point" : "is not a number");
    if (!fits_f32(*value)) refuse(row, "is not a finite number, or too large");
    values.push_back(static_cast<float>(*value));
  }
  return values;
}

std::pair<ConditionColumn, ColumnValues> condition_column(const TextColumns& table, std::size_t column,
                                                          std::span<const std::uint32_t> rows,
                                                          const ReadOptions& options) {
  const std::string& name = table.names[column];
  const auto as_words = [&] {
    std::vector<std::string> words;
    words.reserve(rows.size());
    for (const std::uint32_t row : rows) words.emplace_back(table.cell(row, column));
    return std::pair<ConditionColumn, ColumnValues>(column_of_names(name, words));
  };
  const bool is_class = name == "label" || name == "class" || is_named_categorical(name, options);
  if (!is_named_numeric(name, options) && (is_class || !is_number_column(table, column))) return as_words();
  std::vector<float> values;
  try {
    values = numbers_of(table, column, rows);
  } catch (const base::Error& error) {
    base::fail_data("{}; --categorical {} takes its values as names", error.what(), base::shell_quoted(name));
  }
  if (is_flag(name, values, options)) return as_words();
  return numeric(name, std::move(values), options, table.path);
}

std::pair<ConditionColumn, ColumnValues> condition_column(const std::string& name, std::span<const double> values,
                                                          bool whole, const ReadOptions& options,
                                                          const std::string& path) {
  std::vector<float> numbers;
  numbers.reserve(values.size());
  for (std::size_t row = 0; row < values.size(); ++row) {
    if (!fits_f32(values[row]))
      base::fail_data("{}: {}, item {}: {} is not a finite number, or too large", path, name, row, values[row]);
    numbers.push_back(static_cast<float>(values[row]));
  }
  if ((whole && !is_named_numeric(name, options)) || is_named_categorical(name, options) ||
      is_flag(name, numbers, options)) {
    std::vector<std::string> words;
    words.reserve(values.size());
    for (const double value : values) words.push_back(fmt::format("{}", value));
    return column_of_names(name, words);
  }
  return numeric(name, std::move(numbers), options, path);
}

void add_column(Dataset& dataset, std::pair<ConditionColumn, ColumnValues> column) {
  dataset.condition.columns.push_back(std::move(column.first));
  dataset.rows.columns.push_back(std::move(column.second));
}

void set_vectors(Dataset& dataset, std::span<const std::string> names,
                 const std::function<std::vector<float>(std::size_t)>& values, const ReadOptions& options,
                 const std::string& path) {
  dataset.sample_shape = {static_cast<std::int64_t>(names.size())};
  for (std::size_t c = 0; c < names.size(); ++c) {
    const std::vector<float> column = values(c);
    if (std::ranges::all_of(column, [&](float value) { return value == column[0]; }))
      base::fail_data("{}: column {} is constant{}: leave it out; --target names the columns to generate", path,
                      names[c], column.empty() ? "" : fmt::format(" ({})", column[0]));
    dataset.items = static_cast<std::int64_t>(column.size());
    dataset.points.resize(column.size() * names.size());
    const NumberColumn& number =
        dataset.units.columns.emplace_back(number_column(names[c], column, scaling_of(options, names[c]), path));
    for (std::size_t i = 0; i < column.size(); ++i)
      dataset.points[i * names.size() + c] = static_cast<float>(number.scaling.apply(column[i]));
  }
}

std::vector<std::string> read_class_names(const std::string& path) {
  const std::string text = base::read_file(path);
  std::vector<std::string> names = base::split(base::without_byte_order_mark(text), '\n');
  for (std::string& name : names) name = std::string(base::trimmed(name));
  while (!names.empty() && names.back().empty()) names.pop_back();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) base::fail_data("{}: line {} is empty, expected a class name", path, i + 1);
    if (!base::is_plain(names[i]))
      base::fail_data("{}: line {} is not UTF-8 or has control characters, expected a class name", path, i + 1);
    if (contains(std::span(names).first(i), names[i]))
      base::fail_data("{}: line {}: the class name \"{}\" is there twice", path, i + 1, names[i]);
  }
  return names;
}

std::string hash_of(const Dataset& dataset) {
  base::Sha256 hash;
  const auto update = [&](const auto& values) { hash.update(values.data(), values.size() * sizeof(*values.data())); };
  update(dataset.sample_shape);
  if (dataset.is_image())
    hash.update(dataset.pixels.get(),
                static_cast<std::size_t>(dataset.items * graph::element_count(dataset.sample_shape)));
  update(dataset.points);
  for (const ColumnValues& values : dataset.rows.columns) std::visit(update, values);
  return hash.finish();
}

}  // namespace gan::data
