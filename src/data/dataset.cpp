#include "data/dataset.h"

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::data {

int Dataset::label(std::int64_t index) const {
  if (rows.labels().empty()) base::fail_run("{}: has no labels", source);
  return rows.labels()[static_cast<std::size_t>(index)];
}

void Dataset::copy_sample(std::int64_t index, float* dst) const {
  const std::int64_t size = graph::element_count(sample_shape);
  if (!is_image()) {
    std::copy_n(points.begin() + index * size, size, dst);
    return;
  }
  const std::int64_t channels = sample_shape[0], area = sample_shape[1] * sample_shape[2];
  const std::uint8_t* src = pixels.get() + index * size;
  const auto value = [](std::uint8_t byte) { return static_cast<float>(byte) / 127.5f - 1.0f; };
  if (channels == 1) {  // a loop of one stride is vectorized
    for (std::int64_t i = 0; i < area; ++i) dst[i] = value(src[i]);
    return;
  }
  for (std::int64_t c = 0; c < channels; ++c)
    for (std::int64_t i = 0; i < area; ++i) *dst++ = value(src[i * channels + c]);
}

void Dataset::prefetch_sample(std::int64_t index) const {
  constexpr std::int64_t kLine = 64;  // bytes of a cache line
  const std::int64_t size = graph::element_count(sample_shape);
  if (is_image())
    for (std::int64_t i = 0; i < size; i += kLine) __builtin_prefetch(pixels.get() + index * size + i);
}

Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices) {
  Dataset part;
  part.source = dataset.source;
  part.name = dataset.name;
  part.sample_shape = dataset.sample_shape;
  part.condition = dataset.condition;
  part.rows = dataset.rows.select(indices);
  part.hash = dataset.hash;
  part.modes = dataset.modes;
  part.mode_deviation = dataset.mode_deviation;
  part.items = static_cast<std::int64_t>(indices.size());
  const auto size = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  if (dataset.is_image()) part.pixels = std::make_unique_for_overwrite<std::uint8_t[]>(indices.size() * size);
  std::uint8_t* pixels = part.pixels.get();
  for (const std::uint32_t index : indices) {
    if (dataset.is_image()) {
      pixels = std::copy_n(dataset.pixels.get() + index * size, size, pixels);
    } else {
      const auto point = dataset.points.begin() + static_cast<std::ptrdiff_t>(index * size);
      part.points.insert(part.points.end(), point, point + static_cast<std::ptrdiff_t>(size));
    }
  }
  return part;
}

namespace {

std::string_view trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t\r");
  if (begin == std::string_view::npos) return "";
  return text.substr(begin, text.find_last_not_of(" \t\r") - begin + 1);
}

// One name a line; empty lines at the end do not count.
std::vector<std::string> read_class_names(const std::string& path) {
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  std::string text = base::read_file(path);
  if (text.starts_with(kByteOrderMark)) text.erase(0, kByteOrderMark.size());
  std::vector<std::string> names;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    names.emplace_back(trimmed(std::string_view(text).substr(begin, end - begin)));
    begin = end + 1;
  }
  while (!names.empty() && names.back().empty()) names.pop_back();
  for (std::size_t i = 0; i < names.size(); ++i) {
    if (names[i].empty()) base::fail_data("{}: line {} is empty, expected a class name", path, i + 1);
    // Control characters would change the state of a terminal.
    if (!base::is_utf8(names[i]) || std::ranges::any_of(names[i], [](unsigned char c) { return c < ' ' || c == 127; }))
      base::fail_data("{}: line {} is not UTF-8 or has control characters, expected a class name", path, i + 1);
    if (std::find(names.begin(), names.begin() + static_cast<std::ptrdiff_t>(i), names[i]) !=
        names.begin() + static_cast<std::ptrdiff_t>(i))
      base::fail_data("{}: line {}: the class name \"{}\" is there twice", path, i + 1, names[i]);
  }
  return names;
}

}  // namespace

void set_labels(Dataset& dataset, std::vector<std::int32_t> labels, const std::string& folder) {
  const int needed = labels.empty() ? 0 : *std::max_element(labels.begin(), labels.end()) + 1;
  dataset.rows = std::move(labels);
  dataset.condition = label_condition(needed);
  const std::filesystem::path path = std::filesystem::path(folder) / "classes.txt";
  std::error_code ignored;
  if (!std::filesystem::exists(path, ignored)) return;
  std::vector<std::string> names = read_class_names(path.string());
  const int named = static_cast<int>(names.size());
  if (named < needed)
    base::fail_data("{}: {} for labels up to {}, expected {} or more", path.string(),
                    base::counted(named, "class name"), needed - 1, needed);
  dataset.condition = label_condition(named, std::move(names));
}

}  // namespace gan::data
