#include "io/csv.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::io {

namespace {

bool is_line_end(char c) { return c == '\n' || c == '\r'; }

// Reads cells in order, unescapes them in place and terminates them by NUL.
class Scanner {
 public:
  Scanner(const std::string& path, std::string& text, char delimiter)
      : path_(path),
        text_(text),
        delimiter_(delimiter),
        at_(text.size() - base::without_byte_order_mark(text).size()) {}

  std::int64_t line() const { return line_; }
  bool at_end() const { return at_ >= text_.size(); }

  /// Skips empty lines.
  void skip_empty_lines() {
    while (!at_end() && is_line_end(text_[at_])) end_line();
  }

  /// Reads a cell and the delimiter or line end after it; returns where the cell begins. Sets `last` if its row ends.
  std::size_t cell(bool& last) {
    skip_blanks();
    const bool quoted = !at_end() && text_[at_] == '"';
    const std::size_t first = quoted ? at_ + 1 : at_;
    std::size_t end = quoted ? quoted_cell() : plain_cell();
    if (std::any_of(text_.begin() + static_cast<std::ptrdiff_t>(first),
                    text_.begin() + static_cast<std::ptrdiff_t>(end), [](char c) { return (c & 0x80) != 0; }) &&
        !base::is_utf8(std::string_view(text_).substr(first, end - first)))
      base::fail_data("{}: line {} is not UTF-8; save the table as UTF-8", path_, line_);
    last = at_end() || is_line_end(text_[at_]);
    if (at_end()) return first;  // the NUL at the end of the string terminates it
    if (last)
      end_line();
    else
      ++at_;
    text_[end] = '\0';
    return first;
  }

 private:
  void skip_blanks() {
    while (!at_end() && (text_[at_] == ' ' || (text_[at_] == '\t' && delimiter_ != '\t'))) ++at_;
  }

  void end_line() {
    at_ += text_[at_] == '\r' && at_ + 1 < text_.size() && text_[at_ + 1] == '\n' ? 2 : 1;
    ++line_;
  }

  // Both return the end of the cell and leave at_ at the delimiter or line end after it.
  std::size_t plain_cell() {
    const std::size_t first = at_;
    while (!at_end() && text_[at_] != delimiter_ && !is_line_end(text_[at_])) ++at_;
    std::size_t end = at_;
    while (end > first && (text_[end - 1] == ' ' || text_[end - 1] == '\t')) --end;
    return cut(end);
  }

  std::size_t quoted_cell() {
    const std::int64_t begin_line = line_;
    std::size_t end = ++at_;
    while (true) {
      if (at_end()) base::fail_data("{}: line {}: a quote is not closed", path_, begin_line);
      const char c = text_[at_++];
      if (c == '"' && (at_end() || text_[at_] != '"')) break;
      if (c == '"') ++at_;
      if (c == '\n' || (c == '\r' && (at_end() || text_[at_] != '\n'))) ++line_;
      text_[end++] = c;
    }
    skip_blanks();
    if (!at_end() && text_[at_] != delimiter_ && !is_line_end(text_[at_]))
      base::fail_data("{}: line {}: text follows a closing quote; a quote inside quotes is written twice", path_,
                      line_);
    return cut(end);
  }

  // Returns the end of a cell. If it is the last one, also ends the text there: trimming and unescaping left a rest.
  std::size_t cut(std::size_t end) {
    if (at_end()) {
      text_.resize(end);
      at_ = end;
    }
    return end;
  }

  const std::string& path_;
  std::string& text_;
  const char delimiter_;
  std::size_t at_;
  std::int64_t line_ = 1;
};

}  // namespace

Csv::Csv(std::string path, std::string text, char delimiter) : path_(std::move(path)), text_(std::move(text)) {
  if (text_.starts_with("\xff\xfe") || text_.starts_with("\xfe\xff"))
    base::fail_data("{}: the table is UTF-16; save it as UTF-8", path_);
  if (const std::size_t nul = text_.find('\0'); nul != std::string::npos)
    base::fail_data("{}: line {} holds a NUL byte: not a table of text", path_,
                    1 + std::count(text_.begin(), text_.begin() + static_cast<std::ptrdiff_t>(nul), '\n'));
  Scanner scanner(path_, text_, delimiter);
  std::vector<std::size_t> begins;
  for (scanner.skip_empty_lines(); !scanner.at_end(); scanner.skip_empty_lines()) {
    const std::int64_t line = scanner.line();
    begins.clear();
    for (bool last = false; !last;) {
      begins.push_back(scanner.cell(last));
      // After a delimiter at the end of the file there is an empty cell.
      if (!last && scanner.at_end()) {
        begins.push_back(text_.size());
        last = true;
      }
    }
    if (header_.empty()) {
      std::vector<std::string_view> names;
      for (const std::size_t begin : begins) names.emplace_back(text_.c_str() + begin);
      read_header(names, line, delimiter);
      continue;
    }
    if (begins.size() != header_.size())
      base::fail_data("{}: line {} has {}, the header has {}{}", path_, line,
                      base::counted(static_cast<std::int64_t>(begins.size()), "cell"), header_.size(),
                      begins.size() > header_.size() && delimiter == ','
                          ? "; cells that hold commas need quotes, and decimal commas must be points"
                          : "");
    if (begins.back() - begins.front() > std::numeric_limits<std::uint32_t>::max())
      base::fail_data("{}: line {}: the row has more than 4 GB", path_, line);
    rows_.push_back({begins.front(), line});
    for (const std::size_t begin : begins) cells_.push_back(static_cast<std::uint32_t>(begin - begins.front()));
  }
  if (header_.empty()) base::fail_data("{}: the table is empty, expected a header with the columns' names", path_);
}

void Csv::read_header(const std::vector<std::string_view>& names, std::int64_t line, char delimiter) {
  const auto separated_by = [&](char c) {
    return names.size() == 1 && c != delimiter && names[0].find(c) != std::string_view::npos;
  };
  if (separated_by(';'))
    base::fail_data(
        "{}: cells are separated by semicolons, expected commas; save it with commas, and with points in "
        "numbers",
        path_);
  if (separated_by('\t')) base::fail_data("{}: cells are separated by tabs, expected commas; name it .tsv", path_);
  if (separated_by(',')) base::fail_data("{}: cells are separated by commas, expected tabs; name it .csv", path_);
  for (const std::string_view name : names) {
    if (name.empty())
      base::fail_data("{}: line {}: column {} of the header has no name{}", path_, line, header_.size() + 1,
                      header_.empty() ? "; if it is an index, save the table without it" : "");
    if (std::ranges::any_of(name, base::is_control))
      base::fail_data("{}: line {}: the name of column {} has control characters", path_, line, header_.size() + 1);
    if (std::ranges::find(header_, name) != header_.end())
      base::fail_data("{}: line {}: the header names column {} twice", path_, line, name);
    header_.emplace_back(name);
  }
}

std::string_view Csv::cell(std::int64_t row, std::size_t column) const {
  const auto index = static_cast<std::size_t>(row);
  return text_.c_str() + rows_[index].begin + cells_[index * header_.size() + column];
}

char csv_delimiter(const std::string& path) { return path.ends_with(".tsv") || path.ends_with(".tsv.gz") ? '\t' : ','; }

bool is_table_name(std::string_view path) {
  if (path.ends_with(".gz")) path.remove_suffix(3);
  return path.ends_with(".csv") || path.ends_with(".tsv");
}

Csv read_csv(const std::string& path) { return {path, base::read_file(path), csv_delimiter(path)}; }

std::string csv_row(std::span<const std::string> cells) {
  std::string row;
  for (const std::string& cell : cells) {
    if (!row.empty() || &cell != cells.data()) row += ',';
    const bool blank_ends =
        !cell.empty() && (cell.front() == ' ' || cell.back() == ' ' || cell.front() == '\t' || cell.back() == '\t');
    // A single empty cell is quoted, since an empty line is not read as a row.
    if (cell.find_first_of(",\"\n\r") == std::string::npos && !blank_ends && !(cell.empty() && cells.size() == 1)) {
      row += cell;
      continue;
    }
    row += '"';
    for (const char c : cell) row.append(c == '"' ? 2 : 1, c);
    row += '"';
  }
  return row + '\n';
}

}  // namespace gan::io
