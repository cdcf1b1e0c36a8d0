#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gan::data {

/// A column of a condition. Its values are categories, 0 to categories - 1.
struct ConditionColumn {
  std::string name = "label";
  int categories = 0;
  std::vector<std::string> names = {};  ///< one for each category, or empty

  bool operator==(const ConditionColumn&) const = default;
  /// The name of a category, else its index as text.
  std::string name_of(std::int32_t category) const;
  /// The category with this name or index. Throws a usage error that lists the valid ones.
  std::int32_t parse(std::string_view text) const;
};

/// The condition of data, models and model files: an ordered list of columns, empty if unconditional.
struct ConditionSpec {
  std::vector<ConditionColumn> columns = {};

  bool operator==(const ConditionSpec&) const = default;
  bool empty() const { return columns.empty(); }
  /// The number of classes of a condition of one column, else 0.
  int classes() const { return columns.size() == 1 ? columns[0].categories : 0; }
  /// The names of the classes; empty if they have none.
  const std::vector<std::string>& class_names() const;
  /// "10 classes", "unconditional".
  std::string text() const;
};

/// The condition of labelled data: one column, "label". No column for 0 classes.
ConditionSpec label_condition(int classes, std::vector<std::string> names = {});

/// Rows of a condition, one for each sample.
struct ConditionRows {
  std::vector<std::vector<std::int32_t>> columns = {};  ///< [columns][N]: categories

  ConditionRows() = default;
  /// Rows of one column, such as labels [N].
  ConditionRows(std::vector<std::int32_t> labels) : columns{std::move(labels)} {}

  bool empty() const { return columns.empty(); }
  std::int64_t count() const { return columns.empty() ? 0 : static_cast<std::int64_t>(columns[0].size()); }
  /// The values of the first column, [N]; empty if there is none.
  std::span<const std::int32_t> labels() const {
    return columns.empty() ? std::span<const std::int32_t>() : std::span<const std::int32_t>(columns[0]);
  }
  /// Rows [first, first + count).
  ConditionRows slice(std::int64_t first, std::int64_t count) const;
  /// The rows of these indices.
  ConditionRows select(std::span<const std::uint32_t> indices) const;
};

/// `count` rows that cycle through the categories 0, 1, ...; none without a column. Throws a usage error for several.
ConditionRows categories_in_turn(const ConditionSpec& spec, std::int64_t count);

/// Throws a usage error unless `rows` are `count` rows of `spec`, each value one of its categories.
void require_rows(const ConditionSpec& spec, const ConditionRows& rows, std::int64_t count);

}  // namespace gan::data
