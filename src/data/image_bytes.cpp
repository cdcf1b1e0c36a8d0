#include "data/image_bytes.h"

#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "base/error.h"

namespace gan::data {

void ValueRange::add(std::span<const double> values, std::int64_t size, const std::string& path) {
  if (seen == 0 && !values.empty()) minimum = maximum = values[0];
  for (const double value : values) {
    if (!std::isfinite(value))
      base::fail_data("{}: image {} holds {}, expected finite numbers", path, seen / size, value);
    minimum = std::min(minimum, value);
    maximum = std::max(maximum, value);
    ++seen;
  }
}

void set_units(Dataset& dataset, const ValueRange& range, bool whole, const std::string& path) {
  const double minimum = range.minimum, maximum = range.maximum;
  if (minimum == maximum)
    base::fail_data("{}: every value is {}: there is nothing to see in these images", path, minimum);
  SampleUnits& units = dataset.units;
  const auto within = [&](double low, double high) { return minimum >= low && maximum <= high; };
  if (within(0, 255) && maximum > 127)
    units.low = 0, units.high = 255;
  else if (!whole && within(0, 1))
    units.low = 0, units.high = 1;
  else if (!whole && within(-1, 1))
    units.low = -1, units.high = 1;
  else
    units.low = minimum, units.high = maximum;
  dataset.notes.push_back(fmt::format("values from {} to {} become 256 levels, from {} (black) to {} (white)", minimum,
                                      maximum, units.low, units.high));
}

std::uint8_t byte_of(double value, const SampleUnits& units) {
  // Values are halved so that the difference of very large ones stays finite.
  const double level = (value / 2 - units.low / 2) / (units.high / 2 - units.low / 2) * 255;
  return static_cast<std::uint8_t>(std::lround(std::clamp(level, 0.0, 255.0)));
}

void make_channels_last(std::uint8_t* pixels, std::int64_t count, std::int64_t channels, std::int64_t area) {
  if (channels == 1) return;
  std::vector<std::uint8_t> image(static_cast<std::size_t>(channels * area));
  for (std::int64_t n = 0; n < count; ++n, pixels += channels * area) {
    std::copy_n(pixels, channels * area, image.begin());
    for (std::int64_t c = 0; c < channels; ++c)
      for (std::int64_t i = 0; i < area; ++i) pixels[i * channels + c] = image[static_cast<std::size_t>(c * area + i)];
  }
}

void transpose_images(Dataset& dataset, std::uint8_t* pixels) {
  std::int64_t &height = dataset.sample_shape[1], &width = dataset.sample_shape[2];
  const std::int64_t channels = dataset.sample_shape[0], size = channels * height * width;
  std::vector<std::uint8_t> image(static_cast<std::size_t>(size));
  for (std::int64_t n = 0; n < dataset.items; ++n, pixels += size) {
    std::copy_n(pixels, size, image.begin());
    const std::uint8_t* src = image.data();
    for (std::int64_t y = 0; y < height; ++y)
      for (std::int64_t x = 0; x < width; ++x, src += channels)
        std::copy_n(src, channels, pixels + (x * height + y) * channels);
  }
  std::swap(height, width);
}

}  // namespace gan::data
