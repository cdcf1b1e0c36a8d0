#include "data/mnist.h"

#include <cstdlib>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "data/idx_source.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

std::span<const MnistFile> mnist_files() {
  static constexpr MnistFile kFiles[] = {
      {"train-images-idx3-ubyte", "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db"},
      {"train-labels-idx1-ubyte", "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5"},
      {"t10k-images-idx3-ubyte", "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7"},
      {"t10k-labels-idx1-ubyte", "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2"},
  };
  return kFiles;
}

std::string default_cache() {
  const char* cache = std::getenv("XDG_CACHE_HOME");
  if (cache && *cache) return (fs::path(cache) / "gan").string();
  const char* home = std::getenv("HOME");
  if (!home || !*home) base::fail_usage("neither XDG_CACHE_HOME nor HOME is set: give a folder for data with --cache");
  return (fs::path(home) / ".cache" / "gan").string();
}

std::string mnist_folder(const std::string& cache) {
  return (fs::path(cache.empty() ? default_cache() : cache) / "mnist").string();
}

namespace {

constexpr const char* kFetchAdvice = "; fetch it again with gan data fetch mnist";

// Reads one file of the cache; every error ends with the same advice.
IdxFile read_checked(const std::string& path, const MnistFile& file, const std::string& cache,
                     IdxFile (*read)(const std::string&, const std::string&)) {
  IdxFile out;
  try {
    out = read(path, cache);
  } catch (const base::Error& error) {
    throw base::Error(error.kind(), error.what() + std::string(kFetchAdvice));
  }
  if (out.hash != file.sha256)
    base::fail_data("{}: differs from the published file: SHA-256 {}, expected {}{}", path, out.hash, file.sha256,
                    kFetchAdvice);
  return out;
}

Dataset open_split(Split split, const SourceOptions& options) {
  const fs::path folder = mnist_folder(options.cache);
  const MnistFile& images = mnist_files()[split == Split::train ? 0 : 2];
  const MnistFile& labels = mnist_files()[split == Split::train ? 1 : 3];
  std::error_code ignored;
  for (const MnistFile* file : {&images, &labels})
    if (!fs::exists(folder / file->name, ignored))
      base::fail_data("{} is not there; run: gan data fetch mnist", (folder / file->name).string());
  const std::string images_path = (folder / images.name).string();
  Dataset dataset =
      image_dataset(images_path, read_checked(images_path, images, options.cache, read_idx_images), options);
  const std::string path = (folder / labels.name).string();
  if (options.labels)
    add_labels(dataset, path, read_checked(path, labels, options.cache, read_idx_labels), options.read, kFetchAdvice);
  return dataset;
}

Dataset open_mnist(const std::string&, const SourceOptions& options) { return open_split(options.split, options); }

Dataset open_mnist_test(const std::string&, const SourceOptions& options) { return open_split(Split::test, options); }

}  // namespace

extern const Reader mnist_reader;
const Reader mnist_reader{.name = "mnist",
                          .help = "60,000 handwritten digits, 28 x 28; needs gan data fetch mnist once",
                          .open = open_mnist,
                          .has_test = [](const std::string&) { return true; }};

extern const Reader mnist_test_reader;
const Reader mnist_test_reader{
    .name = "mnist-test", .help = "the 10,000 digits of MNIST's test part", .open = open_mnist_test};

}  // namespace gan::data
