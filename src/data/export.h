#pragma once

#include <functional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "data/reader.h"

namespace gan::data {

/// A data set to write to files, with its test part if it has one. Columns of the condition keep their names; their
/// numbers are written in the data's units, categories by name.
struct ExportParts {
  const Dataset& train;
  const Dataset* test = nullptr;
};

/// Writes a .npz file: samples as the array x, images [N, H, W] or [N, H, W, C] as bytes, or as f32 in the data's units
/// if these are not bytes, vectors [N, D] as f32, and an array for each column of the condition, i32 or strings for
/// categories and f32 for numbers. With a test part the names end in _train and _test. Throws a usage error if a column
/// is called x, a data error if the file cannot be written.
void write_npz(const std::string& path, const ExportParts& parts);

/// Writes vectors and their conditions as a table with a header. A test part goes to NAME-test.csv beside NAME.csv.
/// Throws a usage error for images and if two columns have the same name.
void write_table(const std::string& path, const ExportParts& parts);

/// Writes images as PNG files 000000.png, ... and, if there is a condition, metadata.csv, into a folder, or into train
/// and test in it. The folder appears only when it is complete. Units of images other than bytes are lost. Throws a
/// usage error for vectors, for images of more than 4 channels and unless the folder is new or empty. `progress` is
/// called with a line now and then; it may be empty.
void write_pictures(const std::string& folder, const ExportParts& parts,
                    const std::function<void(const std::string&)>& progress = {});

/// The options with which the files written to `path` give this condition again when they are read: periods, for
/// instance, are not in the files.
ReadOptions options_to_read(const std::string& path, const ConditionSpec& condition);

}  // namespace gan::data
