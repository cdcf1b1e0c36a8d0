#include "data/source.h"

#include "base/error.h"
#include "base/text.h"

namespace gan::data {

namespace {

const Reader& reader_of(const std::string& spec) {
  const Reader* chosen = nullptr;
  // A name wins over a path of that name, which can be written ./name.
  for (const Reader* reader : reader_table())
    if (!reader->accepts && reader->name == spec) chosen = reader;
  for (const Reader* reader : reader_table())
    if (!chosen && reader->accepts && reader->accepts(spec)) chosen = reader;
  if (!chosen && spec.find('/') != std::string::npos)
    base::fail_data("{}: no such file or folder; expected a folder, images.idx,labels.idx, or one of {}", spec,
                    base::joined(source_names()));
  if (!chosen)
    base::fail_usage("unknown data source \"{}\"{} (or give a folder, or images.idx,labels.idx)", spec,
                     base::did_you_mean(spec, source_names()));
  return *chosen;
}

}  // namespace

Dataset open_source(const std::string& spec, const SourceOptions& options) {
  const Reader& reader = reader_of(spec);
  Dataset dataset = reader.open(spec, options);
  dataset.source = spec;
  dataset.name = reader.name;
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
