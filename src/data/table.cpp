#include <algorithm>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/gzip_file.h"
#include "data/reader.h"
#include "io/csv.h"

namespace gan::data {

namespace {

// The columns of the condition: those that the option names, else a column called "label" or "class".
std::vector<std::size_t> condition_columns(const TextColumns& table, const ReadOptions& read) {
  std::vector<std::size_t> columns;
  for (const std::string& name : list_of(read.condition)) columns.push_back(table.find(name, "condition"));
  const std::vector<std::string> targets = list_of(read.target);
  for (const char* name : {"label", "class"}) {
    const auto found = std::ranges::find(table.names, name);
    if (columns.empty() && found != table.names.end() && std::ranges::find(targets, name) == targets.end())
      columns.push_back(static_cast<std::size_t>(found - table.names.begin()));
  }
  return columns;
}

// The columns to generate: those that the option names, else the numeric columns that are not in the condition.
std::vector<std::size_t> target_columns(const TextColumns& table, std::span<const std::size_t> conditions,
                                        const ReadOptions& read, std::vector<std::string>& notes) {
  std::vector<std::size_t> columns;
  for (const std::string& name : list_of(read.target)) columns.push_back(table.find(name, "target"));
  if (!columns.empty()) return columns;
  std::vector<std::string> words;
  for (std::size_t column = 0; column < table.names.size(); ++column) {
    if (std::ranges::find(conditions, column) != conditions.end()) continue;
    if (is_number_column(table, column))
      columns.push_back(column);
    else
      words.push_back(table.names[column]);
  }
  if (columns.empty())
    base::fail_data("{}: no column of numbers is left to be generated; name the columns with --target", table.path);
  if (!words.empty())
    notes.push_back("left out, since only numbers are generated: " + base::joined(words) +
                    "; --condition can name such columns");
  return columns;
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  if (options.split == Split::test)
    base::fail_usage("{}: has no test part; name the file of the test rows itself", spec);
  const io::Csv csv(spec, GzipFile(spec).read_rest(), io::csv_delimiter(spec));
  if (csv.rows() == 0) base::fail_data("{}: the table has a header and no rows", spec);
  const TextColumns table = columns_of(csv);
  check_columns(options.read, table.names, spec);

  Dataset dataset;
  std::vector<std::size_t> conditions = condition_columns(table, options.read);
  const std::vector<std::size_t> targets = target_columns(table, conditions, options.read, dataset.notes);
  if (!options.labels) conditions.clear();
  std::vector<std::size_t> used = targets;
  used.insert(used.end(), conditions.begin(), conditions.end());
  const std::vector<std::uint32_t> rows = complete_rows(table, used, options.read, dataset.notes);

  std::vector<std::string> names;
  for (const std::size_t column : targets) names.push_back(table.names[column]);
  set_vectors(
      dataset, names, [&](std::size_t i) { return numbers_of(table, targets[i], rows); }, options.read, spec);
  for (const std::size_t column : conditions) add_column(dataset, condition_column(table, column, rows, options.read));
  dataset.hash = hash_of(dataset);
  return dataset;
}

}  // namespace

extern const Reader table_reader;
const Reader table_reader{
    .name = "table",
    .help =
        "TABLE.csv or TABLE.tsv[.gz] with a header: columns of numbers are generated, a column label or class is "
        "the condition; --target and --condition choose others",
    .accepts = [](const std::string& spec) { return io::is_table_name(spec); },
    .open = open};

}  // namespace gan::data
