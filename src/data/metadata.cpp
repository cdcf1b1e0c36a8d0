#include "data/metadata.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string_view>
#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

namespace {

constexpr const char* kFileColumn = "file_name";

bool is_jsonl(const std::string& path) { return path.ends_with(".jsonl"); }

// JSON objects, one per line, as CSV: line k becomes line k + 1, below the header.
std::string csv_of_jsonl(const std::string& path, const std::string& text) {
  using nlohmann::json;
  std::vector<std::string> names, cells;
  std::string csv;
  std::int64_t line = 0;
  for (std::size_t begin = 0; begin < text.size(); ++line) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view row = std::string_view(text).substr(begin, end - begin);
    begin = end + 1;
    if (base::trimmed(row).empty()) {
      csv += '\n';
      continue;
    }
    const json object = json::parse(row, nullptr, false);
    if (!object.is_object()) base::fail_data("{}: line {}: is no JSON object", path, line + 1);
    if (names.empty())
      for (const auto& [name, value] : object.items()) names.push_back(name);
    for (const auto& [name, value] : object.items())
      if (std::ranges::find(names, name) == names.end())
        base::fail_data("{}: line {}: has a value \"{}\", which the first line has not", path, line + 1, name);
    cells.clear();
    for (const std::string& name : names) {
      const auto value = object.find(name);
      std::string cell;
      if (value != object.end() && !value->is_null())
        cell = value->is_string() ? value->get<std::string>() : value->dump();
      // A line end inside a cell would change the line numbers of all rows below.
      std::ranges::replace_if(
          cell, [](char c) { return c == '\n' || c == '\r'; }, ' ');
      cells.push_back(std::move(cell));
    }
    csv += io::csv_row(cells);
  }
  if (names.empty()) base::fail_data("{}: is empty, expected a JSON object on each line", path);
  return io::csv_row(names) + csv;
}

bool is_stylegan(const std::string& path) { return path.ends_with(".json"); }

// The labels of StyleGAN's dataset.json, an array; null if it has none.
nlohmann::json stylegan_labels(const std::string& text) {
  const auto file = nlohmann::json::parse(text, nullptr, /*allow_exceptions=*/false);
  const auto labels = file.is_object() ? file.find("labels") : file.end();
  return labels != file.end() && labels->is_array() && !labels->empty() ? *labels : nlohmann::json();
}

// StyleGAN's dataset.json as CSV, with label k in line k + 1.
std::string csv_of_stylegan(const std::string& path, const std::string& text) {
  using nlohmann::json;
  const json labels = stylegan_labels(text);
  if (labels.is_null()) base::fail_data("{}: expected a JSON object with \"labels\": [[\"FILE\", LABEL], ...]", path);
  std::vector<std::string> cells;
  std::string csv;
  std::size_t width = 0;  // number of labels per file
  for (std::size_t i = 0; i < labels.size(); ++i) {
    const json& pair = labels[i];
    const auto is_label = [](const json& value) { return value.is_number() || value.is_string(); };
    const bool is_pair = pair.is_array() && pair.size() == 2 && pair[0].is_string();
    const json list = !is_pair ? json() : pair[1].is_array() ? pair[1] : json::array({pair[1]});
    if (!list.is_array() || list.empty() || !std::ranges::all_of(list, is_label) || (i > 0 && list.size() != width))
      base::fail_data("{}: label {}: expected [\"FILE\", LABEL], with as many labels as the others have", path, i + 1);
    width = list.size();
    cells = {pair[0].get<std::string>()};
    for (const json& label : list) cells.push_back(label.is_string() ? label.get<std::string>() : label.dump());
    csv += io::csv_row(cells);
  }
  std::vector<std::string> names = {kFileColumn};
  for (std::size_t i = 0; i < width; ++i) names.push_back(width == 1 ? "label" : fmt::format("label{}", i));
  return io::csv_row(names) + csv;
}

io::Csv read(const std::string& path, const std::string& content) {
  return {path,
          is_jsonl(path)      ? csv_of_jsonl(path, content)
          : is_stylegan(path) ? csv_of_stylegan(path, content)
                              : content,
          ','};
}

}  // namespace

bool has_stylegan_labels(const std::string& content) { return !stylegan_labels(content).is_null(); }

Metadata::Metadata(const std::string& path, const std::string& content)
    : skipped_lines_(is_jsonl(path) || is_stylegan(path) ? 1 : 0),
      place_(is_stylegan(path) ? "label " : "line "),
      table_(read(path, content)) {
  const auto found = std::ranges::find(table_.header(), kFileColumn);
  if (found == table_.header().end())
    base::fail_data("{}: has no column {}; its columns are {}", path, kFileColumn, base::joined(table_.header()));
  file_column_ = static_cast<std::size_t>(found - table_.header().begin());
}

std::vector<std::string> Metadata::names() const {
  std::vector<std::string> names = table_.header();
  names.erase(names.begin() + static_cast<std::ptrdiff_t>(file_column_));
  return names;
}

TextColumns Metadata::columns(std::span<const std::string> files, const std::string& part) const {
  std::unordered_map<std::string_view, std::int64_t> row_of;
  for (std::int64_t row = 0; row < table_.rows(); ++row) {
    std::string_view file = table_.cell(row, file_column_);
    if (file.starts_with("./")) file.remove_prefix(2);
    if (!file.starts_with(part)) continue;
    if (!row_of.emplace(file, row).second) base::fail_data("{}: {}: {} is there twice", path(), place(row), file);
  }
  std::vector<std::int64_t> rows;
  std::int64_t unlisted = 0;
  const std::string* first = nullptr;
  for (const std::string& file : files) {
    const auto found = row_of.find(file);
    if (found != row_of.end()) {
      rows.push_back(found->second);
      row_of.erase(found);
    } else if (++unlisted == 1) {
      first = &file;
    }
  }
  if (unlisted > 0)
    base::fail_data("{}: has no row for {}{}", path(), *first,
                    unlisted > 1 ? fmt::format(" and {} more", base::counted(unlisted - 1, "picture")) : "");
  if (!row_of.empty()) {
    const auto missing = std::ranges::min_element(row_of, {}, [](const auto& entry) { return entry.second; });
    base::fail_data("{}: {}: {} is not there, or is no PNG, JPEG or WebP file by its name{}", path(),
                    place(missing->second), missing->first,
                    row_of.size() > 1 ? fmt::format(" ({} such rows)", row_of.size()) : "");
  }
  TextColumns out{
      .path = path(), .names = names(), .rows = static_cast<std::int64_t>(rows.size()), .cell = {}, .place = {}};
  out.cell = [this, rows](std::int64_t row, std::size_t column) {
    return table_.cell(rows[static_cast<std::size_t>(row)], column + (column >= file_column_ ? 1 : 0));
  };
  out.place = [this, rows](std::int64_t row) { return place(rows[static_cast<std::size_t>(row)]); };
  return out;
}

}  // namespace gan::data
