#include "data/repeats.h"

#include <string_view>
#include <unordered_set>

namespace gan::data {

namespace {

std::string_view bytes_of(const Dataset& dataset, std::int64_t index) {
  const auto elements = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  const auto place = static_cast<std::size_t>(index) * elements;
  if (dataset.is_image()) return {reinterpret_cast<const char*>(dataset.pixels.get()) + place, elements};
  return {reinterpret_cast<const char*>(dataset.points.data() + place), elements * sizeof(float)};
}

}  // namespace

std::vector<std::uint32_t> distinct_samples(const Dataset& dataset) {
  std::unordered_set<std::string_view> seen;
  std::vector<std::uint32_t> first;
  for (std::int64_t i = 0; i < dataset.count(); ++i)
    if (seen.insert(bytes_of(dataset, i)).second) first.push_back(static_cast<std::uint32_t>(i));
  return first;
}

std::vector<std::uint32_t> samples_not_in(const Dataset& part, const Dataset& whole) {
  std::unordered_set<std::string_view> absent;
  for (std::int64_t i = 0; i < part.count(); ++i) absent.insert(bytes_of(part, i));
  for (std::int64_t i = 0; i < whole.count(); ++i) absent.erase(bytes_of(whole, i));
  std::vector<std::uint32_t> indices;
  for (std::int64_t i = 0; i < part.count(); ++i)
    if (absent.contains(bytes_of(part, i))) indices.push_back(static_cast<std::uint32_t>(i));
  return indices;
}

}  // namespace gan::data
