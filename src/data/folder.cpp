#include <filesystem>
#include <string>
#include <system_error>

#include "base/error.h"
#include "data/idx_source.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

// The path of a folder's file whose name begins with `stem`, such as "train-images"; "" if there is none.
std::string find_file(const std::string& folder, const std::string& stem) {
  std::error_code ignored;
  for (const char* separator : {"-", "."})
    for (const char* axes : {"idx1", "idx3", "idx4"})
      for (const char* compression : {"", ".gz"}) {
        const fs::path path = fs::path(folder) / (stem + separator + axes + "-ubyte" + compression);
        if (fs::exists(path, ignored)) return path.string();
      }
  return "";
}

bool accepts(const std::string& spec) {
  std::error_code ignored;
  return fs::is_directory(spec, ignored);
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  const std::string part = options.split == Split::train ? "train" : "t10k";
  const std::string images = find_file(spec, part + "-images"), labels = find_file(spec, part + "-labels");
  if (images.empty()) base::fail_data("{}: the folder has no {}-images-idx3-ubyte[.gz]", spec, part);
  if (options.labels && labels.empty())
    base::fail_data("{}: the folder has no {}-labels-idx1-ubyte[.gz]; without labels only unconditional models train",
                    spec, part);
  Dataset dataset = image_dataset(read_idx_images(images));
  if (options.labels) add_labels(dataset, labels, read_idx_labels(labels), "; these two files do not belong together");
  return dataset;
}

}  // namespace

extern const Reader folder_reader;
const Reader folder_reader{.name = "folder",
                           .help =
                               "a folder with train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and, as the "
                               "test part, t10k-*",
                           .accepts = accepts,
                           .open = open,
                           .has_test = [](const std::string& spec) { return !find_file(spec, "t10k-images").empty(); }};

}  // namespace gan::data
