#include "data/repeats.h"

#include <string_view>
#include <unordered_set>

namespace gan::data {

namespace {

std::string_view bytes_of(const Dataset& images, std::int64_t index) {
  const auto size = static_cast<std::size_t>(graph::element_count(images.sample_shape));
  return {reinterpret_cast<const char*>(images.pixels.get()) + static_cast<std::size_t>(index) * size, size};
}

}  // namespace

std::vector<std::uint32_t> distinct_images(const Dataset& images) {
  std::unordered_set<std::string_view> seen;
  std::vector<std::uint32_t> first;
  for (std::int64_t i = 0; i < images.count(); ++i)
    if (seen.insert(bytes_of(images, i)).second) first.push_back(static_cast<std::uint32_t>(i));
  return first;
}

std::vector<std::uint32_t> images_not_in(const Dataset& part, const Dataset& whole) {
  std::unordered_set<std::string_view> absent;
  for (std::int64_t i = 0; i < part.count(); ++i) absent.insert(bytes_of(part, i));
  for (std::int64_t i = 0; i < whole.count(); ++i) absent.erase(bytes_of(whole, i));
  std::vector<std::uint32_t> indices;
  for (std::int64_t i = 0; i < part.count(); ++i)
    if (absent.contains(bytes_of(part, i))) indices.push_back(static_cast<std::uint32_t>(i));
  return indices;
}

}  // namespace gan::data
