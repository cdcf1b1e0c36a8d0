#include "eval/pixels.h"

#include <algorithm>
#include <cmath>

namespace gan::eval {

namespace {

constexpr std::int64_t kElements = 1 << 26;  // pixels held as floats at a time: 256 MB

/// A rectangle of every image: its first row and column, its sides.
struct Window {
  std::int64_t y, x, height, width;
};

/// Pixels in this window of images [first, first + count), as rows in [0, 1].
std::vector<float> window_rows(const data::Dataset& images, const Window& window, std::int64_t first,
                               std::int64_t count) {
  const std::int64_t channels = images.sample_shape[0], height = images.sample_shape[1], width = images.sample_shape[2];
  std::vector<float> values;
  values.reserve(static_cast<std::size_t>(count * window.height * window.width * channels));
  for (std::int64_t n = first; n < first + count; ++n)
    for (std::int64_t y = window.y; y < window.y + window.height; ++y) {
      const std::uint8_t* row = images.pixels.get() + ((n * height + y) * width + window.x) * channels;
      for (std::int64_t i = 0; i < window.width * channels; ++i) values.push_back(static_cast<float>(row[i]) / 255);
    }
  return values;
}

/// The nearest of `images` of each row, both within a window.
void find_nearest_images(const metrics::Rows& rows, const data::Dataset& images, const Window& window,
                         metrics::Nearest& nearest) {
  const std::int64_t rows_of_piece = std::clamp<std::int64_t>(kElements / 16 / rows.width, 16, 4096);
  for (std::int64_t first = 0; first < images.count(); first += rows_of_piece) {
    const std::vector<float> piece =
        window_rows(images, window, first, std::min(rows_of_piece, images.count() - first));
    metrics::find_nearest(rows, {piece, rows.width}, first, nearest);
  }
}

Window whole(const data::Dataset& images) { return {0, 0, images.sample_shape[1], images.sample_shape[2]}; }

}  // namespace

std::int64_t most_images(std::int64_t size) { return std::max<std::int64_t>(kElements / size, 2); }

std::vector<float> pixel_rows(const data::Dataset& images, std::int64_t first, std::int64_t count) {
  return window_rows(images, whole(images), first, count);
}

std::vector<double> per_element(std::vector<double> distances, std::int64_t elements) {
  const double scale = 1 / std::sqrt(static_cast<double>(elements));
  for (double& distance : distances) distance *= scale;
  return distances;
}

metrics::Nearest nearest_images(const std::vector<float>& rows, const data::Dataset& images) {
  metrics::Nearest nearest;
  find_nearest_images({rows, graph::element_count(images.sample_shape)}, images, whole(images), nearest);
  return nearest;
}

std::vector<double> nearest_shifted(const data::Dataset& images, std::int64_t count, const data::Dataset& others) {
  Window window = whole(images);
  const std::int64_t reach = std::min(window.height, window.width) < 3 ? 0 : 1;
  window = {reach, reach, window.height - 2 * reach, window.width - 2 * reach};
  const std::vector<float> inner = window_rows(images, window, 0, count);
  const std::int64_t elements = window.height * window.width * images.sample_shape[0];
  metrics::Nearest nearest;
  for (window.y = 0; window.y <= 2 * reach; ++window.y)
    for (window.x = 0; window.x <= 2 * reach; ++window.x)
      find_nearest_images({inner, elements}, others, window, nearest);
  return per_element(nearest.distance, elements);
}

std::int64_t rows_to_shift(const data::Dataset& others) {
  constexpr std::int64_t kMost = 250, kFewest = 50, kProducts = kMost * 60'000 * 784;
  const std::int64_t of_one = others.count() * graph::element_count(others.sample_shape);
  return std::clamp(kProducts / std::max<std::int64_t>(of_one, 1), kFewest, kMost);
}

}  // namespace gan::eval
