#include "data/source.h"

#include <cmath>

#include "base/error.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/pixels.h"

namespace gan::data {

namespace {

constexpr const char* kSourceKinds = "a folder or .zip file of pictures, FILE.csv, FILE.npz, or images.idx,labels.idx";

// The reader of a named source; null if there is none of this name.
const Reader* named_reader(const std::string& spec) {
  for (const Reader* reader : reader_table())
    if (!reader->accepts && reader->name == (reader->parameters ? spec.substr(0, spec.find(':')) : spec)) return reader;
  return nullptr;
}

const Reader& reader_of(const std::string& spec) {
  // A named source wins over a path of the same name, which users can write as ./name.
  const Reader* chosen = named_reader(spec);
  for (const Reader* reader : reader_table())
    if (!chosen && reader->accepts && reader->accepts(spec)) chosen = reader;
  if (!chosen && spec.find('/') != std::string::npos)
    base::fail_data("{}: no such file or folder; expected {}, or one of {}", spec, kSourceKinds,
                    base::joined(source_names()));
  if (!chosen)
    base::fail_usage("unknown data source \"{}\"{} (no such file; or give {})", spec,
                     base::did_you_mean(spec, source_names()), kSourceKinds);
  return *chosen;
}

/// Keeps the chosen columns of the condition, in the chosen order.
void choose_columns(Dataset& dataset, const std::string& spec, const Reader& reader, const ReadOptions& read) {
  std::vector<std::string> wanted = list_of(read.condition.empty() ? reader.default_condition : read.condition);
  for (const char* name : {"label", "class"})
    if (wanted.empty() && dataset.condition.find(name) >= 0) wanted.emplace_back(name);
  ConditionSpec condition;
  ConditionRows rows;
  std::vector<std::string> names;
  for (const ConditionColumn& column : dataset.condition.columns) names.push_back(column.name);
  for (const std::string& name : wanted) {
    const int c = dataset.condition.find(name);
    if (c < 0)
      base::fail_usage("{}: has no column \"{}\" for the condition{}", spec, name,
                       names.empty() ? ": it has no labels" : base::did_you_mean(name, names));
    if (condition.find(name) >= 0) base::fail_usage("--condition {}: {} is there twice", read.condition, name);
    condition.columns.push_back(dataset.condition.columns[static_cast<std::size_t>(c)]);
    rows.columns.push_back(std::move(dataset.rows.columns[static_cast<std::size_t>(c)]));
  }
  std::erase_if(names, [&](const std::string& name) { return condition.find(name) >= 0; });
  for (const std::string& name : conditions_by_option(read))
    if (condition.find(name) < 0)
      base::fail_usage("--categorical and --periodic are for conditions, and {} is none; name it in --condition", name);
  if (read.condition.empty() && !names.empty())
    dataset.notes.push_back(fmt::format("{}columns that can be a condition: {} (--condition NAME,...)",
                                        wanted.empty() ? "" : "other ", base::joined(names)));
  dataset.condition = std::move(condition);
  dataset.rows = std::move(rows);
}

}  // namespace

bool is_named_source(const std::string& spec) { return named_reader(spec) != nullptr; }

Dataset open_source(const std::string& spec, const SourceOptions& options) {
  const Reader& reader = reader_of(spec);
  Dataset dataset = reader.open(spec, options);
  if (options.labels) choose_columns(dataset, spec, reader, options.read);
  for (const double value : {dataset.units.low, dataset.units.high})
    if (std::abs(value) > kLargestNumber)
      base::fail_data("{}: images with values of {}, expected up to {}", spec, value, kLargestNumber);
  dataset.source = spec;
  dataset.name = reader.name;
  set_streamed(dataset);
  return dataset;
}

bool has_test_part(const std::string& spec) {
  const Reader& reader = reader_of(spec);
  return reader.has_test && reader.has_test(spec);
}

std::vector<std::string> source_names() {
  std::vector<std::string> names;
  for (const Reader* reader : reader_table())
    if (!reader->accepts) names.emplace_back(reader->name);
  return names;
}

}  // namespace gan::data
