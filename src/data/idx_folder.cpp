#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/idx_source.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

// The prefix of a file's name before "train-images-idx3-ubyte" or the like: "" for MNIST, "emnist-letters-" for that
// part of EMNIST. None for other files.
std::optional<std::string> prefix_of(const std::string& file) {
  for (const char* part : {"train", "t10k", "test"})
    for (const char* kind : {"-images", "-labels"}) {
      const std::size_t at = file.find(std::string(part) + kind);
      if (at == std::string::npos || (at > 0 && file[at - 1] != '-')) continue;
      const std::string rest = file.substr(at + std::string(part).size() + 7);
      for (const char* ending : {"-ubyte", "-ubyte.gz"})
        if (rest.size() > 5 && (rest.starts_with("-idx") || rest.starts_with(".idx")) && rest.substr(5) == ending)
          return file.substr(0, at);
    }
  return std::nullopt;
}

// The folder and the prefix that a source names: FOLDER or FOLDER/PREFIX.
struct Place {
  fs::path folder;
  std::set<std::string> prefixes;  // of the files in the folder, or the given one; empty: no such files
};

Place place_of(const std::string& spec) {
  std::error_code ignored;
  Place place{spec, {}};
  std::string name;
  if (!fs::is_directory(spec, ignored)) {
    place.folder = fs::path(spec).parent_path();
    name = fs::path(spec).filename().string() + "-";
    if (name == "-" || !fs::is_directory(place.folder, ignored)) return place;
  }
  fs::directory_iterator entry(place.folder, ignored);
  for (; !ignored && entry != fs::directory_iterator(); entry.increment(ignored))
    if (const auto prefix = prefix_of(entry->path().filename().string()); prefix && (name.empty() || name == *prefix))
      place.prefixes.insert(*prefix);
  return place;
}

// The prefix to read: the only one, or "" if that is among them. Throws a usage error if there are several others.
std::string chosen_prefix(const Place& place, const std::string& spec) {
  if (place.prefixes.size() <= 1) return place.prefixes.empty() ? "" : *place.prefixes.begin();
  if (place.prefixes.contains("")) return "";
  std::vector<std::string> names;
  for (const std::string& prefix : place.prefixes) names.push_back(prefix.substr(0, prefix.size() - 1));
  base::fail_usage("{}: the folder has several data sets: {}; choose one, such as {}", spec, base::joined(names),
                   base::shell_quoted((fs::path(spec) / names[0]).string()));
}

// The path of a folder's file whose name begins with `stem`, such as "train-images"; "" if there is none.
std::string find_file(const fs::path& folder, const std::string& stem) {
  std::error_code ignored;
  for (const char* separator : {"-", "."})
    for (const char* axes : {"idx1", "idx2", "idx3", "idx4"})
      for (const char* compression : {"", ".gz"}) {
        const fs::path path = folder / (stem + separator + axes + "-ubyte" + compression);
        if (fs::exists(path, ignored)) return path.string();
      }
  return "";
}

// The name of the test part of the files with this prefix: "t10k" or "test".
std::string test_part(const fs::path& folder, const std::string& prefix) {
  return find_file(folder, prefix + "test-images").empty() ? "t10k" : "test";
}

bool accepts(const std::string& spec) { return !place_of(spec).prefixes.empty(); }

Dataset open(const std::string& spec, const SourceOptions& options) {
  const Place place = place_of(spec);
  const std::string prefix = chosen_prefix(place, spec);
  const std::string part = prefix + (options.split == Split::train ? "train" : test_part(place.folder, prefix));
  const std::string images = find_file(place.folder, part + "-images"),
                    labels = find_file(place.folder, part + "-labels");
  if (images.empty()) base::fail_data("{}: the folder has no {}-images-idx3-ubyte[.gz]", spec, part);
  Dataset dataset = image_dataset(images, read_idx_images(images, options.cache), options);
  if (options.labels && labels.empty())
    dataset.notes.push_back(
        fmt::format("{}: the folder has no {}-labels-idx1-ubyte[.gz]: its images are unlabelled", spec, part));
  else if (options.labels)
    add_labels(dataset, labels, read_idx_labels(labels, options.cache), options.read,
               "; these two files do not belong together");
  return dataset;
}

bool has_test(const std::string& spec) {
  const Place place = place_of(spec);
  const std::string prefix = chosen_prefix(place, spec);
  return !find_file(place.folder, prefix + test_part(place.folder, prefix) + "-images").empty();
}

}  // namespace

extern const Reader idx_folder_reader;
const Reader idx_folder_reader{
    .name = "folder",
    .help =
        "a folder with train-images-idx3-ubyte[.gz], train-labels-idx1-ubyte[.gz] and, as the "
        "test part, t10k-* or test-*; FOLDER/PREFIX if their names begin with PREFIX-",
    .accepts = accepts,
    .open = open,
    .has_test = has_test};

}  // namespace gan::data
