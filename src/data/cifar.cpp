#include <array>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/image_bytes.h"
#include "data/pixels.h"
#include "data/reader.h"

namespace gan::data {

namespace fs = std::filesystem;

namespace {

constexpr std::int64_t kSide = 32, kCifarChannels = 3, kImageBytes = kSide * kSide * kCifarChannels;

// A label that the files hold in front of each image, and the file with its class names.
struct Label {
  const char* name;
  const char* names_file;
  std::size_t classes;
};

// One of the two data sets, as the binary version has it (https://www.cs.toronto.edu/~kriz/cifar.html).
struct Form {
  std::vector<const char*> train;
  const char* test;
  std::vector<Label> labels;
};

// Which of the two data sets a folder holds; null if neither.
const Form* form_of(const std::string& folder) {
  static const Form ten{
      {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
      "test_batch.bin",
      {{"label", "batches.meta.txt", 10}}};
  static const Form hundred{
      {"train.bin"}, "test.bin", {{"coarse", "coarse_label_names.txt", 20}, {"label", "fine_label_names.txt", 100}}};
  std::error_code ignored;
  for (const Form* form : {&ten, &hundred})
    for (const char* file : {form->train[0], form->test})
      if (fs::is_regular_file(fs::path(folder) / file, ignored)) return form;
  return nullptr;
}

std::vector<std::string> class_names(const fs::path& path, std::size_t classes) {
  std::error_code ignored;
  if (!fs::exists(path, ignored)) return {};
  std::vector<std::string> names = read_class_names(path.string());
  if (names.size() != classes)
    base::fail_data("{}: {}, expected {}", path.string(),
                    base::counted(static_cast<std::int64_t>(names.size()), "class name"), classes);
  return names;
}

bool accepts(const std::string& spec) { return form_of(spec) != nullptr; }

Dataset open(const std::string& spec, const SourceOptions& options) {
  const Form& form = *form_of(spec);
  std::vector<const char*> names = form.train;
  if (options.split == Split::test) names = {form.test};
  const std::uint64_t record = form.labels.size() + kImageBytes;
  std::vector<std::unique_ptr<base::InputFile>> files;
  Dataset dataset;
  dataset.sample_shape = {kCifarChannels, kSide, kSide};
  for (const char* name : names) {
    const std::string path = (fs::path(spec) / name).string();
    const auto& file = files.emplace_back(std::make_unique<base::InputFile>(path));
    if (file->size() == 0 || file->size() % record != 0)
      base::fail_data("{}: {} are no whole records of {}: cut short, or another format", path,
                      base::counted(static_cast<std::int64_t>(file->size()), "byte"), record);
    dataset.items += static_cast<std::int64_t>(file->size() / record);
  }
  auto pixels = make_pixels(static_cast<std::uint64_t>(dataset.items * kImageBytes), options.cache);
  std::vector<std::vector<std::int32_t>> labels(form.labels.size());
  std::uint8_t* next = pixels.get();
  for (const auto& file : files)
    for (std::uint64_t i = 0; i < file->size() / record; ++i, next += kImageBytes) {
      std::array<std::uint8_t, 2> bytes{};
      file->read(bytes.data(), labels.size());
      file->read(next, kImageBytes);
      for (std::size_t c = 0; c < labels.size(); ++c) {
        if (bytes[c] >= form.labels[c].classes)
          base::fail_data("{}: record {}: {} {}, expected 0 to {}; not the binary version of CIFAR?", file->path(), i,
                          form.labels[c].name, bytes[c], form.labels[c].classes - 1);
        labels[c].push_back(bytes[c]);
      }
    }
  make_channels_last(pixels.get(), dataset.items, kCifarChannels, kSide * kSide);
  if (options.read.transpose) transpose_images(dataset, pixels.get());
  dataset.pixels = std::move(pixels);
  for (std::size_t c = labels.size(); options.labels && c-- > 0;) {  // the column "label" is to be the first
    const Label& label = form.labels[c];
    const std::vector<std::string> names = class_names(fs::path(spec) / label.names_file, label.classes);
    std::vector<std::string> words;
    for (const std::int32_t value : labels[c])
      words.push_back(names.empty() ? std::to_string(value) : names[static_cast<std::size_t>(value)]);
    add_column(dataset, column_of_names(label.name, words));
  }
  dataset.hash = hash_of(dataset);
  return dataset;
}

bool has_test(const std::string& spec) {
  std::error_code ignored;
  return fs::is_regular_file(fs::path(spec) / form_of(spec)->test, ignored);
}

}  // namespace

extern const Reader cifar_reader;
const Reader cifar_reader{.name = "cifar",
                          .help =
                              "a folder with the binary version of CIFAR-10 or CIFAR-100: data_batch_1.bin or "
                              "train.bin and the files beside it",
                          .accepts = accepts,
                          .open = open,
                          .has_test = has_test};

}  // namespace gan::data
