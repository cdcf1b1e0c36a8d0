#pragma once

#include <string>
#include <string_view>

#include "data/dataset.h"
#include "data/reader.h"
#include "io/png.h"

namespace gan::cli {

/// Prints a line of a description: a name and what it says.
void line(std::string_view name, const std::string& text);

/// "none", "10 (labels 0 to 9)", "2: cat, dog".
std::string classes_text(const data::ConditionSpec& condition);

/// Opens a source and prints it; writes its example_sheet to `sheet` unless that is "".
void describe_source(const std::string& source, const std::string& cache, const data::ReadOptions& read,
                     const std::string& sheet);

/// Prints a data set: shape, classes, ranges of numbers, duplicates, and what looks like a mistake.
void print_data(const data::Dataset& dataset, bool has_test_part);

/// A picture of examples.
struct Sheet {
  io::Picture picture;
  std::string text;  ///< what its rows are
};

/// Examples of a data set: a row for each class of the first categorical column (20 of them, evenly chosen, if there
/// are more), in it by the first column of numbers if there is one; without classes by that column. Points [2] as a
/// plot. Alpha is laid on grey. Throws a usage error for other vectors and for images of more than 4 channels.
Sheet example_sheet(const data::Dataset& dataset);

}  // namespace gan::cli
