#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/condition.h"

namespace gan::data {

/// The values that a column of a condition takes in what is drawn.
struct ConditionChoice {
  std::size_t column = 0;  ///< of the ConditionSpec
  ColumnValues values = {};
  bool range = false;  ///< a part of them was given as from:to:count

  std::int64_t count() const;
};

/// The most values of a range.
inline constexpr std::int64_t kMostInRange = 1'000'000;

/// The choices that a text makes: NAME=VALUES, several with commas. VALUES are one value, several such as 3|7, or, of a
/// numeric column, ranges from:to:count with both ends; of a periodic column without the end if that is whole periods
/// away. A value in double quotes is taken as it stands, "" in it is a quote. A category whose name is all of the text,
/// or all up to a comma, wins over splitting. Throws a usage error if a column is unknown or there twice, or as
/// parse_choice does.
std::vector<ConditionChoice> parse_choices(const ConditionSpec& spec, std::string_view text);

/// The choice that the VALUES of a column make. Throws a usage error if a value is empty, no category, no number or
/// not above 0 where the model takes logarithms, or a range has no values or more than kMostInRange.
ConditionChoice parse_choice(const ConditionSpec& spec, std::size_t column, std::string_view text);

/// Every category of a column, or 8 numbers as in values_in_turn.
ConditionChoice every_value(const ConditionSpec& spec, std::size_t column);

/// A choice for each column that a file has: .npy of numbers [N], or [N, columns] in the order of the spec's columns,
/// or of names [N], or a table (.csv, .tsv) whose header has names of columns; other columns of a table do not count.
/// Numbers that stand for categories are names where all names are numbers, else indices. All choices have N values.
/// Throws a data error that names file and row if a value cannot be; `option` is for messages.
std::vector<ConditionChoice> read_choices(const std::string& path, const ConditionSpec& spec,
                                          const std::string& option);

/// All combinations of the values of axes, in order: the last axis changes fastest. An axis is one choice, or several
/// with equally many values that change together. Every column of the spec has one choice.
class ConditionGrid {
 public:
  using Axis = std::vector<ConditionChoice>;
  ConditionGrid(std::size_t columns, std::vector<Axis> axes);

  const std::vector<Axis>& axes() const { return axes_; }
  /// The number of combinations; INT64_MAX if there are more.
  std::int64_t count() const { return count_; }
  /// Rows [first, first + count) if every combination is repeated `each` times.
  ConditionRows rows(std::int64_t first, std::int64_t count, std::int64_t each = 1) const;

 private:
  std::size_t columns_;
  std::vector<Axis> axes_;
  std::int64_t count_ = 1;
};

/// One line for each numeric column that takes values outside the range seen in training.
std::vector<std::string> outside_notes(const ConditionSpec& spec, const ConditionGrid& grid);

}  // namespace gan::data
