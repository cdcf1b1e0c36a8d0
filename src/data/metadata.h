#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/columns.h"
#include "io/csv.h"

namespace gan::data {

/// Whether the content of a file called dataset.json is StyleGAN's and has labels. Other programs use this name for
/// other files.
bool has_stylegan_labels(const std::string& content);

/// The table in metadata.csv or metadata.jsonl about the pictures of a folder, as Hugging Face's imagefolder has it: a
/// row for each picture, whose column file_name is its path from the folder; all other columns can be in the condition.
/// Or StyleGAN's dataset.json: an object whose "labels" are pairs of a file and its label, which becomes the column
/// label, or of a file and a list of numbers, which become label0, label1, ...
class Metadata {
 public:
  /// Parses the content of a file, whose path ends in its format. Throws a data error if it is damaged or has no column
  /// file_name.
  Metadata(const std::string& path, const std::string& content);

  const std::string& path() const { return table_.path(); }
  /// The names of all columns except file_name.
  std::vector<std::string> names() const;
  /// All columns except file_name, with a row for each of `files`, which are paths from the metadata's folder; valid
  /// while this object lives. Rows of files outside the folder `part` ("train/"; "": all) are ignored. Throws a data
  /// error if a file has no row or two, or a row's file is not among `files`.
  TextColumns columns(std::span<const std::string> files, const std::string& part) const;

 private:
  // "line 7", or of dataset.json "label 7"
  std::string place(std::int64_t row) const { return place_ + std::to_string(table_.line(row) - skipped_lines_); }

  std::int64_t skipped_lines_;  // lines of the table before those of the file
  std::string place_;
  io::Csv table_;
  std::size_t file_column_ = 0;
};

}  // namespace gan::data
