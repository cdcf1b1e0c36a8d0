#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "data/scaling.h"

namespace gan::data {

/// A column of a condition. Its values are categories, 0 to categories - 1, or numbers in the data's units.
struct ConditionColumn {
  std::string name = "label";
  int categories = 0;                   ///< 0 for a numeric column
  std::vector<std::string> names = {};  ///< one for each category, or empty
  NumberColumn number = {};  ///< for a numeric column: its range, scaling and so on; number.name equals `name`

  bool operator==(const ConditionColumn&) const = default;
  bool is_numeric() const { return categories == 0; }
  /// The number of network inputs for a value: the categories, or a number's features.
  std::int64_t width() const { return is_numeric() ? number.features() : categories; }
  /// The name of a category, else its index as text.
  std::string name_of(std::int32_t category) const;
  /// The categories for messages: "0 to 9", "cat, dog", of many names the first ones.
  std::string names_text() const;
  /// The category with this name, or with this index if names are not numbers. Throws a usage error that lists the
  /// categories.
  std::int32_t parse(std::string_view text) const;
  /// Parses a number. Throws a usage error unless it is finite.
  float parse_number(std::string_view text) const;
};

/// The condition of data, models and model files: an ordered list of columns, empty if unconditional.
struct ConditionSpec {
  std::vector<ConditionColumn> columns = {};

  bool operator==(const ConditionSpec&) const = default;
  bool empty() const { return columns.empty(); }
  /// The number of classes of a condition of one categorical column, else 0.
  int classes() const { return columns.size() == 1 ? columns[0].categories : 0; }
  /// The names of the classes; empty if they have none.
  const std::vector<std::string>& class_names() const;
  /// The index of the column of this name; -1 if there is none.
  int find(std::string_view name) const;
  /// "10 classes", "digit of 10 categories, angle from 0 to 360 degrees", "unconditional".
  std::string text() const;
};

/// The condition of labelled data: one column, "label". No column for 0 classes.
ConditionSpec label_condition(int classes, std::vector<std::string> names = {});

/// The values of one column, [N]: categories or numbers.
using ColumnValues = std::variant<std::vector<std::int32_t>, std::vector<float>>;

/// Rows of a condition, one for each sample.
struct ConditionRows {
  std::vector<ColumnValues> columns = {};

  ConditionRows() = default;
  /// Rows of one categorical column, such as labels [N].
  ConditionRows(std::vector<std::int32_t> labels) { columns.emplace_back(std::move(labels)); }

  bool empty() const { return columns.empty(); }
  std::int64_t count() const;
  /// The categories of column `c`, [N]. Throws a run error if it is numeric.
  std::span<const std::int32_t> categories(std::size_t c) const;
  /// The numbers of column `c`, [N]. Throws a run error if it is categorical.
  std::span<const float> numbers(std::size_t c) const;
  /// The categories of the only column, [N]; empty if there are several, or it is numeric.
  std::span<const std::int32_t> labels() const;
  /// Rows [first, first + count).
  ConditionRows slice(std::int64_t first, std::int64_t count) const;
  /// The rows of these indices.
  ConditionRows select(std::span<const std::uint32_t> indices) const;
  /// Adds the rows of `more`, which has the same columns.
  void append(const ConditionRows& more);
};

/// `count` rows that cycle through the values of each column: categories 0, 1, ..., and 8 numbers from the lowest to
/// the highest seen, or eighths of a period from 0 on. The first column changes slowest; none without a column.
ConditionRows values_in_turn(const ConditionSpec& spec, std::int64_t count);

/// The number of rows after which values_in_turn repeats; 1 without a column.
std::int64_t values_period(const ConditionSpec& spec);

/// A row as text: "7", "digit=7, angle=30".
std::string row_text(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t row);

/// Throws a usage error unless `rows` are `count` rows of `spec`, each value one of its categories or a finite number
/// (above 0 where its logarithm is taken).
void require_rows(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t count);

}  // namespace gan::data
