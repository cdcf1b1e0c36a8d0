#include "data/idx_source.h"

#include <filesystem>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/image_bytes.h"
#include "data/pixels.h"
#include "io/csv.h"

namespace gan::data {

namespace fs = std::filesystem;

Dataset image_dataset(const std::string& path, IdxFile images, const SourceOptions& options) {
  Dataset dataset;
  dataset.items = images.shape[0];
  const std::int64_t channels = images.shape.size() == 4 ? images.shape[3] : 1;
  dataset.sample_shape = {channels, images.shape[1], images.shape[2]};
  dataset.hash = std::move(images.hash);
  std::shared_ptr<std::uint8_t[]> pixels;
  if (images.is_bytes()) {
    pixels = std::move(images.bytes);
  } else {
    const auto elements = static_cast<std::size_t>(graph::element_count(images.shape));
    ValueRange range;
    for (std::size_t i = 0; i < elements; ++i) {
      const double value = images.value(i);
      range.add({&value, 1}, graph::element_count(dataset.sample_shape), path);
    }
    set_units(dataset, range, images.is_whole(), path);
    pixels = make_pixels(elements, options.cache);
    for (std::size_t i = 0; i < elements; ++i) pixels[i] = byte_of(images.value(i), dataset.units);
  }
  if (options.read.transpose) transpose_images(dataset, pixels.get());
  dataset.pixels = std::move(pixels);
  return dataset;
}

void add_labels(Dataset& dataset, const std::string& path, const IdxFile& labels, const ReadOptions& read,
                const std::string& advice) {
  const auto count = static_cast<std::size_t>(labels.shape[0]);
  const std::size_t columns = labels.shape.size() == 1 ? 1 : static_cast<std::size_t>(labels.shape[1]);
  if (labels.shape[0] != dataset.items)
    base::fail_data("{}: {} for {}{}", path, base::counted(labels.shape[0], "label"),
                    base::counted(dataset.items, "image"), advice);
  if (columns > static_cast<std::size_t>(kMostColumns))
    base::fail_data("{}: {} labels for each image, expected {} or fewer", path, columns, kMostColumns);
  dataset.hash = base::sha256(dataset.hash + labels.hash);
  const std::string name = labels.is_whole() ? "label" : "value";
  std::vector<std::string> names;
  for (std::size_t c = 0; c < columns; ++c) names.push_back(columns == 1 ? name : name + std::to_string(c));
  check_columns(read, names, path);
  const bool numeric = period_of(read, name) > 0 || !scaling_of(read, name).empty();
  if (columns == 1 && labels.is_whole() && !numeric) {
    std::vector<std::int32_t> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(static_cast<std::int32_t>(labels.value(i)));
    set_labels(dataset, values, fs::path(path).parent_path().string());
    return;
  }
  for (std::size_t c = 0; c < columns; ++c) {
    std::vector<double> values;
    for (std::size_t i = 0; i < count; ++i) values.push_back(labels.value(i * columns + c));
    add_column(dataset, condition_column(names[c], values, labels.is_whole(), read, path));
  }
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
  std::error_code ignored;
  if (fs::is_directory(spec, ignored)) return false;  // its name may contain commas
  // These are files for other readers.
  for (const char* ending : {".npy", ".npz", ".zip"})
    if (spec.ends_with(ending)) return false;
  if (io::is_table_name(spec)) return false;
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
  Dataset dataset = image_dataset(images, read_idx_images(images, options.cache), options);
  if (labels.empty() || !options.labels) return dataset;
  add_labels(dataset, labels, read_idx_labels(labels, options.cache), options.read,
             "; these two files do not belong together");
  return dataset;
}

}  // namespace

extern const Reader idx_reader;
const Reader idx_reader{.name = "idx",
                        .help =
                            "images.idx[.gz],labels.idx[.gz]: numbers of any type, N x H x W or N x H x W x C; images "
                            "alone are unlabelled",
                        .accepts = accepts,
                        .open = open};

}  // namespace gan::data
