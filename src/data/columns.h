#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/condition.h"
#include "data/reader.h"
#include "io/csv.h"

namespace gan::data {

/// Named columns of text, as tables and metadata files hold them.
struct TextColumns {
  std::string path;  ///< for messages
  std::vector<std::string> names;
  std::int64_t rows = 0;
  std::function<std::string_view(std::int64_t row, std::size_t column)> cell;
  std::function<std::string(std::int64_t row)> place;  ///< where a row is, for messages: "line 7"

  /// The index of a column. Throws a usage error that names `option` and the nearest name if there is none.
  std::size_t find(const std::string& name, std::string_view option) const;
};

/// The columns of a table, which must outlive them.
TextColumns columns_of(const io::Csv& csv);

/// The most columns of vectors and of conditions.
inline constexpr std::int64_t kMostColumns = 10'000;

/// The array of a .npz file that names the columns of the vectors x.
inline constexpr const char* kSampleColumns = "x_columns";

/// Splits a list at its commas, without the blanks around the parts; no parts for "".
std::vector<std::string> list_of(std::string_view text);

/// The scaling (or period) that the option chooses for a column, "" (or 0) if none. Throws a usage error if the option
/// does not have the form "name:kind,name:kind" ("name:period,..."), a kind is unknown or a period is not above 0.
std::string scaling_of(const ReadOptions& options, const std::string& column);
double period_of(const ReadOptions& options, const std::string& column);

/// The columns named by read.categorical and read.periodic, options that apply to conditions only.
std::vector<std::string> conditions_by_option(const ReadOptions& options);

/// Throws a usage error if an option cannot be parsed or names a column twice or one that is not in `names`, or if a
/// target is also a condition, categorical or periodic.
void check_columns(const ReadOptions& options, std::span<const std::string> names, const std::string& path);

/// Whether a cell stands for a missing value: "", "?", "NA", "N/A", "NaN", "nan", "null", "NULL".
bool is_missing(std::string_view cell);

/// Ascending indices of the rows in which all these columns have a value. Other rows are left out with a note if
/// read.missing is drop; if it is not, throws a data error that names the first of them.
std::vector<std::uint32_t> complete_rows(const TextColumns& table, std::span<const std::size_t> columns,
                                         const ReadOptions& options, std::vector<std::string>& notes);

/// Whether more than half of the values that are not missing are numbers; false if all are missing.
bool is_number_column(const TextColumns& table, std::size_t column);

/// The numbers of a column in these rows. Throws a data error naming row and column if one is not a finite number that
/// f32 can hold.
std::vector<float> numbers_of(const TextColumns& table, std::size_t column, std::span<const std::uint32_t> rows);

/// A column as a condition, with its value for each of these rows. Columns are categorical if they are called "label"
/// or "class", named in read.categorical, hold words, or numbers of two values; others are numbers. Errors as
/// numbers_of and number_column.
std::pair<ConditionColumn, ColumnValues> condition_column(const TextColumns& table, std::size_t column,
                                                          std::span<const std::uint32_t> rows,
                                                          const ReadOptions& options);

/// The same for numbers that are not text, such as an array. Numbers of an integer type, `whole`, are categories unless
/// an option gives them a scaling or a period. `path` is for messages.
std::pair<ConditionColumn, ColumnValues> condition_column(const std::string& name, std::span<const double> values,
                                                          bool whole, const ReadOptions& options,
                                                          const std::string& path);

/// Adds a column to the condition of a data set.
void add_column(Dataset& dataset, std::pair<ConditionColumn, ColumnValues> column);

/// Makes vectors from columns of numbers: sets items, sample_shape, points (scaled) and units. `values(i)` returns the
/// numbers of column i of `names`. Errors as number_column, and for constant columns.
void set_vectors(Dataset& dataset, std::span<const std::string> names,
                 const std::function<std::vector<float>(std::size_t)>& values, const ReadOptions& options,
                 const std::string& path);

/// The lines of a file of class names, such as classes.txt; empty lines at its end do not count. Throws a data error if
/// a line is empty, not UTF-8, has control characters or is there twice.
std::vector<std::string> read_class_names(const std::string& path);

/// SHA-256 of a data set's shape, samples and condition values, in hexadecimal.
std::string hash_of(const Dataset& dataset);

}  // namespace gan::data
