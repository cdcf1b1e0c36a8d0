#include <algorithm>
#include <filesystem>
#include <optional>
#include <set>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/sha256.h"
#include "base/text.h"
#include "data/cache.h"
#include "data/columns.h"
#include "data/metadata.h"
#include "data/picture_decoder.h"
#include "data/picture_folder.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

// ---- parts ----

// The names of the folders of the parts in a source; `train` is "" if the whole source is the training part.
struct Parts {
  std::string train, test;
  std::vector<std::string> others;  // folders beside them
};

// train/ is the training part if there is a test part beside it or no other folder; else it is a class of pictures,
// such as those of trains.
Parts parts_of(const std::string& spec) {
  Parts parts;
  parts.others = folders_in(spec);
  const auto take = [&](const char* name) {
    const auto found = std::ranges::find(parts.others, name);
    if (found == parts.others.end()) return false;
    parts.others.erase(found);
    return true;
  };
  if (!take("train")) return {};
  for (const char* name : {"test", "val", "valid", "validation"})
    if (parts.test.empty() && take(name)) parts.test = name;
  if (parts.test.empty() && !parts.others.empty()) return {};
  parts.train = "train";
  return parts;
}

// ---- the condition ----

// The class of a file by its folder; "" for files that are in none.
std::string class_of(const PictureFile& file) {
  const std::size_t slash = file.path.rfind('/');
  return slash == std::string::npos ? "" : file.path.substr(0, slash);
}

// The conditions of pictures. The column "label" comes from metadata if it has one, else from the folders' names; all
// other columns come from metadata.
class Conditions {
 public:
  // Removes pictures with missing values from `folder`.
  Conditions(PictureFolder& folder, const ReadOptions& read) : folder_(folder), read_(read) {
    std::vector<std::string> names;
    const std::string metadata = folder.source + "/" + folder.metadata.path;  // for messages
    if (!folder.metadata.path.empty()) {
      metadata_.emplace(metadata, folder.read(folder.metadata.path));
      // Its paths are relative to its own folder.
      const std::string part = folder.metadata.path.starts_with(folder.part) ? "" : folder.part;
      std::vector<std::string> files;
      for (const PictureFile& file : folder.files) files.push_back(part + file.path);
      table_ = metadata_->columns(files, part);
      names = table_.names;
    }
    labelled_ = has_class_folders();
    if (labelled_ && std::ranges::find(names, kLabel) == names.end()) names.emplace_back(kLabel);
    check_columns(read, names, metadata_ ? metadata : folder.path);
    wanted_ = list_of(read.condition);
    if (wanted_.empty() && std::ranges::find(names, kLabel) != names.end()) wanted_ = {kLabel};
    if (metadata_) keep_complete();
    if (wanted_.empty() && !names.empty())
      folder.notes.push_back(
          fmt::format("{}: {} can be a condition (--condition NAME,...)", metadata, base::joined(names)));
    if (wanted_.empty() && names.empty())
      folder.notes.push_back(
          fmt::format("{}: has no folders that are classes, so the pictures have no condition{}", folder.path,
                      folder.unread_table.empty()
                          ? ""
                          : fmt::format("; {} is not read: one called metadata.csv would be, with a column file_name",
                                        folder.unread_table)));
  }

  void set(std::span<const std::uint32_t> files, Dataset& dataset) const {
    for (const std::string& name : wanted_) {
      if (const auto found = std::ranges::find(table_.names, name); found != table_.names.end()) {
        std::vector<std::uint32_t> rows;
        for (const std::uint32_t file : files) rows.push_back(rows_[file]);
        const auto column = static_cast<std::size_t>(found - table_.names.begin());
        add_column(dataset, condition_column(table_, column, rows, read_));
        continue;
      }
      std::vector<std::string> classes;
      for (const std::uint32_t file : files) classes.push_back(class_of(folder_.files[file]));
      add_column(dataset, column_of_names(name, classes));
    }
  }

 private:
  static constexpr const char* kLabel = "label";

  // Whether the folders are classes. A single folder is none if there is metadata: it only holds the pictures.
  bool has_class_folders() const {
    const PictureFile* outside = nullptr;
    std::int64_t count = 0;
    std::set<std::string> classes;
    std::string last;
    for (const PictureFile& file : folder_.files) {
      const std::string name = class_of(file);
      if (name.empty()) {
        if (!outside) outside = &file;
        ++count;
      } else if (name != last) {
        classes.insert(name);
      }
      last = name;
    }
    if (metadata_) return !outside && classes.size() > 1;
    if (outside && !classes.empty())
      base::fail_data(
          "{}: {} not in a class's folder, such as {}, while {} are; move them into one, or train without "
          "labels",
          folder_.path, count == 1 ? "1 picture lies" : fmt::format("{} pictures lie", count), outside->path,
          folder_.files.size() - static_cast<std::size_t>(count));
    return !classes.empty();
  }

  void keep_complete() {
    std::vector<std::size_t> columns;
    for (const std::string& name : wanted_)
      if (const auto found = std::ranges::find(table_.names, name); found != table_.names.end())
        columns.push_back(static_cast<std::size_t>(found - table_.names.begin()));
    rows_ = complete_rows(table_, columns, read_, folder_.notes);
    std::vector<PictureFile> kept;
    for (const std::uint32_t row : rows_) kept.push_back(std::move(folder_.files[row]));
    folder_.files = std::move(kept);
    // Columns that cannot be a condition are refused now, before hours of decoding.
    for (const std::size_t column : columns) condition_column(table_, column, rows_, read_);
  }

  PictureFolder& folder_;
  const ReadOptions& read_;
  std::optional<Metadata> metadata_;
  TextColumns table_;
  std::vector<std::uint32_t> rows_;  // the row of the table for each of the folder's files
  bool labelled_ = false;
  std::vector<std::string> wanted_;
};

// ---- opening ----

// SHA-256 of everything that the decoded pictures and their conditions depend on.
std::string key_of(const PictureFolder& folder, const SourceOptions& options) {
  constexpr int kDecodingVersion = 1;  // to be increased when pictures are decoded or conditions read in another way
  const ReadOptions& read = options.read;
  base::Sha256 hash;
  const auto update = [&](std::string_view text) { hash.update(text.data(), text.size() + 1); };
  std::string line = fmt::format("pictures {} {} {} {} {} {} {} {}", kDecodingVersion, read.size, read.fit,
                                 read.channels, read.background, read.transpose, read.skip_broken, options.labels);
  update(line.c_str());
  std::error_code ignored;
  update(fs::weakly_canonical(folder.path, ignored).c_str());
  if (const PictureFile& metadata = folder.metadata; !metadata.path.empty()) {
    line = fmt::format("{} {} {}", metadata.path, metadata.bytes, metadata.time);
    update(line.c_str());
    for (const std::string& text :
         {read.condition, read.categorical, read.periodic, read.scaling, read.missing, read.target})
      update(text.c_str());
    update(std::to_string(read.fourier).c_str());
  }
  for (const PictureFile& file : folder.files) {
    update(file.path.c_str());
    const std::uint64_t numbers[] = {file.bytes, static_cast<std::uint64_t>(file.time)};
    hash.update(numbers, sizeof(numbers));
  }
  return hash.finish();
}

[[noreturn]] void fail_without_pictures(const PictureFolder& folder) {
  std::string found;
  for (const std::string& note : folder.notes) found += (found.empty() ? ": " : ", ") + note;
  base::fail_data("{}: {} no pictures{}; expected .png, .jpg or .webp files, in a folder for each class", folder.path,
                  folder.archive ? "the archive has" : "the folder has no train-images-idx3-ubyte[.gz] and", found);
}

// The data set in the cache; none if it is not there or the cache cannot be read.
std::optional<Dataset> cached(const std::string& cache, const std::string& key) {
  Dataset dataset;
  try {
    if (read_cached(cache, key, dataset)) return dataset;
  } catch (const base::Error&) {  // the reason is reported when the cache is written
  }
  return std::nullopt;
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  const Parts parts = parts_of(spec);
  const std::string part = options.split == Split::train ? parts.train : parts.test;
  if (part.empty() && options.split == Split::test)
    base::fail_usage("{}: has no test part; expected a folder test or val beside one called train", spec);
  const PicturePlan plan(options.read);
  PictureFolder folder = find_pictures(spec, part);
  if (folder.files.empty()) fail_without_pictures(folder);
  if (options.split == Split::train && !parts.others.empty())
    folder.notes.push_back(fmt::format("{}: only the folders {} and {} are read, not {}", spec, parts.train, parts.test,
                                       base::joined(parts.others)));
  if (folder.metadata.path.empty() && !folder.unfinished.empty())
    base::fail_data(
        "{}: has {} in place of metadata.csv: the pictures are still being written, or the program that wrote them was "
        "killed; write them again, or remove that file to read them without metadata",
        folder.path, folder.unfinished);
  if (!options.labels) folder.metadata = {};
  const std::string key = key_of(folder, options);
  if (std::optional<Dataset> found = cached(options.cache, key)) return *std::move(found);
  std::optional<Conditions> conditions;
  if (options.labels) conditions.emplace(folder, options.read);
  Dataset dataset =
      decode_pictures(folder, plan, options, key, [&](std::span<const std::uint32_t> files, Dataset& decoded) {
        decoded.notes.insert(decoded.notes.begin(), folder.notes.begin(), folder.notes.end());
        if (conditions) conditions->set(files, decoded);
      });
  return dataset;
}

}  // namespace

extern const Reader pictures_reader;
const Reader pictures_reader{.name = "pictures",
                             .help =
                                 "a folder or a .zip file of PNG, JPEG or WebP pictures, in a folder for each class, "
                                 "perhaps below train and test, or with metadata.csv or StyleGAN's dataset.json",
                             .accepts = is_picture_source,
                             .open = open,
                             .has_test = [](const std::string& spec) { return !parts_of(spec).test.empty(); }};

}  // namespace gan::data
