#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace gan::io {

/// A table of text with a header (RFC 4180): cells between delimiters, lines that end in LF, CRLF or CR. A cell in
/// quotes may hold delimiters, line ends and quotes, which are written twice. Blanks around other cells, empty lines
/// and a byte order mark are ignored. Cells stay in the file's text and need 4 more bytes each.
class Csv {
 public:
  /// Parses `text`; `path` is for messages. Throws a data error that names the line if a row has more or fewer cells
  /// than the header, a quote is not closed, a name in the header is empty or occurs twice, or the text is not UTF-8.
  /// The message has a hint if cells seem to be separated by another character than `delimiter`.
  Csv(std::string path, std::string text, char delimiter);

  const std::string& path() const { return path_; }
  const std::vector<std::string>& header() const { return header_; }
  std::int64_t rows() const { return static_cast<std::int64_t>(rows_.size()); }
  /// The text of a cell, valid while this object lives and is not moved.
  std::string_view cell(std::int64_t row, std::size_t column) const;
  /// The line, from 1, on which a row begins.
  std::int64_t line(std::int64_t row) const { return rows_[static_cast<std::size_t>(row)].line; }

 private:
  struct Row {
    std::uint64_t begin;  // offset in text_
    std::int64_t line;
  };
  void read_header(const std::vector<std::string_view>& names, std::int64_t line, char delimiter);

  std::string path_;
  std::string text_;  // cells are unescaped in place and end in NUL
  std::vector<std::string> header_;
  std::vector<Row> rows_;
  std::vector<std::uint32_t> cells_;  // [rows, columns], offsets from the begin of the row
};

/// Whether a file of this name holds a table: it ends in .csv, .tsv, .csv.gz or .tsv.gz.
bool is_table_name(std::string_view path);

/// The delimiter of a file of this name: a tab if it ends in .tsv or .tsv.gz, else a comma.
char csv_delimiter(const std::string& path);

/// Reads a CSV file, or TSV if its name ends in .tsv. Throws a data error as Csv does, or if the file cannot be read.
Csv read_csv(const std::string& path);

/// A row of CSV, with its line end. Cells with commas, quotes, line ends or blanks at an end are quoted.
std::string csv_row(std::span<const std::string> cells);

}  // namespace gan::io
