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

void add_labels(Dataset& dataset, const std::string& path, IdxLabels labels, const std::string& advice) {
  const auto count = static_cast<std::int64_t>(labels.values.size());
  if (count != dataset.items)
    base::fail_data("{}: {} for {}{}", path, base::counted(count, "label"), base::counted(dataset.items, "image"),
                    advice);
  set_labels(dataset, std::move(labels.values), fs::path(path).parent_path().string());
  dataset.hash = base::sha256(dataset.hash + labels.hash);
}

namespace {

bool is_file(const std::string& path) {
  std::error_code ignored;
  return fs::is_regular_file(path, ignored);
}

}  // namespace

std::pair<std::string, std::string> split_pair(const std::string& spec) {
  if (is_file(spec)) return {spec, ""};
  // Prefers a comma with existing files on both sides, then one with a file on one side, then the first.
  std::size_t chosen = spec.find(',');
  int most = 0;
  for (std::size_t comma = chosen; comma != std::string::npos; comma = spec.find(',', comma + 1)) {
    const int files = is_file(spec.substr(0, comma)) + is_file(spec.substr(comma + 1));
    if (files > most) {
      most = files;
      chosen = comma;
    }
  }
  if (chosen == std::string::npos) return {spec, ""};
  return {spec.substr(0, chosen), spec.substr(chosen + 1)};
}

namespace {

bool accepts(const std::string& spec) {
  for (const char* ending : {".idx", "-ubyte", ".gz"})
    if (spec.ends_with(ending)) return true;
  return spec.find(',') != std::string::npos || is_file(spec);
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  if (options.split == Split::test)
    base::fail_usage("{}: has no test part; name the test files themselves, or a folder with t10k-* files", spec);
  const auto [images, labels] = split_pair(spec);
  if (images.empty() || (labels.empty() && images.size() < spec.size()))
    base::fail_usage("{}: a name is missing beside the comma; expected images.idx,labels.idx", spec);
  if (!labels.empty() && idx_axes(images) == 1 && idx_axes(labels) > 2)
    base::fail_data("{}: images and labels are swapped; give {},{}", spec, labels, images);
  Dataset dataset = image_dataset(read_idx_images(images));
  if (labels.empty() || !options.labels) return dataset;
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
