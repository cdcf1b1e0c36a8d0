#include "data/idx_source.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

Dataset image_dataset(IdxFile images) {
  Dataset dataset;
  dataset.items = images.shape[0];
  const std::int64_t channels = images.shape.size() == 4 ? images.shape[3] : 1;
  dataset.sample_shape = {channels, images.shape[1], images.shape[2]};
  dataset.hash = std::move(images.hash);
  dataset.pixels = std::move(images.bytes);
  return dataset;
}

void add_labels(Dataset& dataset, const std::string& path, const IdxFile& labels, const std::string& advice) {
  if (labels.shape[0] != dataset.items)
    base::fail_data("{}: {} labels for {} images{}", path, base::grouped(labels.shape[0]), base::grouped(dataset.items),
                    advice);
  set_labels(dataset, {labels.bytes.get(), labels.bytes.get() + labels.shape[0]},
             fs::path(path).parent_path().string());
  dataset.hash = base::sha256(dataset.hash + labels.hash);
}

namespace {

// A path may hold a comma too.
bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

bool accepts(const std::string& spec) {
  for (const char* ending : {".idx", "-ubyte", ".gz"})
    if (spec.ends_with(ending)) return true;
  return spec.find(',') != std::string::npos || is_file(spec);
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  if (options.split == Split::test)
    base::fail_usage("{}: has no test part; name the test files themselves, or a folder with t10k-* files", spec);
  const std::size_t comma = is_file(spec) ? std::string::npos : spec.find(',');
  if (comma == 0 || (comma != std::string::npos && comma + 1 == spec.size()))
    base::fail_usage("{}: a name is missing beside the comma; expected images.idx,labels.idx", spec);
  Dataset dataset = image_dataset(read_idx_images(spec.substr(0, comma)));
  if (comma == std::string::npos || !options.labels) return dataset;
  const std::string labels = spec.substr(comma + 1);
  add_labels(dataset, labels, read_idx_labels(labels), "; these two files do not belong together");
  return dataset;
}

}  // namespace

extern const Reader idx_reader;
const Reader idx_reader{.name = "idx",
                        .help =
                            "images.idx[.gz],labels.idx[.gz]: unsigned bytes, N x H x W or N x H x W x C; images alone "
                            "are unlabelled",
                        .accepts = accepts,
                        .open = open};

}  // namespace gan::data
