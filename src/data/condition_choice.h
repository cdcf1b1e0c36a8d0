#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/condition.h"

namespace gan::data {

/// The values of one column of the condition for which samples are drawn.
struct ConditionChoice {
  std::size_t column = 0;  ///< its index in the ConditionSpec
  ColumnValues values = {};
  bool range = false;  ///< whether some of them were given as from:to:count

  std::int64_t count() const;
};

/// The most values of a range.
inline constexpr std::int64_t kMostInRange = 1'000'000;

/// Parses choices, NAME=VALUES separated by commas. VALUES are values separated by |, such as 3|7; numeric columns also
/// take ranges from:to:count, which include both ends, unless the ends are whole periods of a periodic column apart.
/// Values may be in double quotes, with "" for a quote. Where a category's name is all of the VALUES or all up to a
/// comma, it is not split. Throws a usage error if a column is unknown or occurs twice, or as parse_choice does.
std::vector<ConditionChoice> parse_choices(const ConditionSpec& spec, std::string_view text);

/// Parses the VALUES of a column. Throws a usage error if a value is empty, not a category or number of the column, or
/// not above 0 where the model takes logarithms, or if a range has no values or more than kMostInRange.
ConditionChoice parse_choice(const ConditionSpec& spec, std::size_t column, std::string_view text);

/// Every category of a column, or 8 numbers as in values_in_turn.
ConditionChoice every_value(const ConditionSpec& spec, std::size_t column);

/// Reads a choice for each column in a file: .npy of numbers [N], or [N, columns] in the order of the spec's columns,
/// or of names [N]; or a table (.csv, .tsv) whose header has names of columns, whose other columns are ignored. For
/// categories, numbers are names if all names are numbers, else indices. All choices have N values. Throws a data error
/// that names file and row if a value is not valid; `option` is for messages.
std::vector<ConditionChoice> read_choices(const std::string& path, const ConditionSpec& spec,
                                          const std::string& option);

/// All combinations of the values of several axes; the last axis changes fastest. An axis is one choice, or several of
/// equal length whose values change together. Every column of the spec belongs to one axis.
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

/// A note, one line, for each numeric column with values outside the range seen in training.
std::vector<std::string> outside_notes(const ConditionSpec& spec, const ConditionGrid& grid);

}  // namespace gan::data
