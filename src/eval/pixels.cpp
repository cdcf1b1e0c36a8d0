#include "eval/pixels.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <string>
#include <string_view>
#include <utility>

namespace gan::eval {

namespace {

constexpr std::int64_t kPixelsAtOnce = 1 << 26;  // pixels held as floats at a time: 256 MB

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

/// Finds the nearest image to each row, comparing only pixels in a window. The images are divided into pieces, of which
/// this rank searches its share.
void find_nearest_images(const metrics::Rows& rows, const data::Dataset& images, const Window& window,
                         const runtime::Communicator& ranks, metrics::Nearest& nearest) {
  const std::int64_t rows_of_piece = std::clamp<std::int64_t>(kPixelsAtOnce / 16 / rows.width, 16, 4096);
  for (std::int64_t first = rows_of_piece * ranks.rank(); first < images.count();
       first += rows_of_piece * ranks.ranks()) {
    const std::vector<float> piece =
        window_rows(images, window, first, std::min(rows_of_piece, images.count() - first));
    metrics::find_nearest(rows, {piece, rows.width}, first, nearest);
  }
}

/// Combines what the ranks have found: the nearest image, the first of equally near ones.
void take_nearest_of_all(runtime::Communicator& ranks, std::int64_t rows, metrics::Nearest& nearest) {
  if (ranks.ranks() == 1) return;
  nearest.index.resize(static_cast<std::size_t>(rows), -1);
  nearest.distance.resize(nearest.index.size(), std::numeric_limits<double>::infinity());
  const auto text = [](const auto& values) {
    return std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(values[0]));
  };
  const std::vector<std::string> indices = ranks.gather(text(nearest.index)),
                                 distances = ranks.gather(text(nearest.distance));
  metrics::Nearest other = nearest;
  for (std::size_t rank = 1; rank < indices.size(); ++rank) {
    std::memcpy(other.index.data(), indices[rank].data(), indices[rank].size());
    std::memcpy(other.distance.data(), distances[rank].data(), distances[rank].size());
    for (std::size_t i = 0; i < other.index.size(); ++i) {
      if (std::pair(other.distance[i], other.index[i]) >= std::pair(nearest.distance[i], nearest.index[i])) continue;
      nearest.distance[i] = other.distance[i];
      nearest.index[i] = other.index[i];
    }
  }
  ranks.broadcast(std::as_writable_bytes(std::span(nearest.index)));
  ranks.broadcast(std::as_writable_bytes(std::span(nearest.distance)));
}

Window whole(const data::Dataset& images) { return {0, 0, images.sample_shape[1], images.sample_shape[2]}; }

}  // namespace

std::int64_t most_images(std::int64_t size) { return std::max<std::int64_t>(kPixelsAtOnce / size, 2); }

std::vector<float> pixel_rows(const data::Dataset& images, std::int64_t first, std::int64_t count) {
  return window_rows(images, whole(images), first, count);
}

std::vector<double> per_element(std::vector<double> distances, std::int64_t elements) {
  const double scale = 1 / std::sqrt(static_cast<double>(elements));
  for (double& distance : distances) distance *= scale;
  return distances;
}

metrics::Nearest nearest_images(const std::vector<float>& rows, const data::Dataset& images,
                                runtime::Communicator& ranks) {
  metrics::Nearest nearest;
  const metrics::Rows all{rows, graph::element_count(images.sample_shape)};
  find_nearest_images(all, images, whole(images), ranks, nearest);
  take_nearest_of_all(ranks, all.count(), nearest);
  return nearest;
}

std::vector<double> nearest_shifted(const data::Dataset& images, std::int64_t count, const data::Dataset& others,
                                    runtime::Communicator& ranks) {
  Window window = whole(images);
  const std::int64_t reach = std::min(window.height, window.width) < 3 ? 0 : 1;
  window = {reach, reach, window.height - 2 * reach, window.width - 2 * reach};
  const std::vector<float> inner = window_rows(images, window, 0, count);
  const std::int64_t elements = window.height * window.width * images.sample_shape[0];
  metrics::Nearest nearest;
  for (window.y = 0; window.y <= 2 * reach; ++window.y)
    for (window.x = 0; window.x <= 2 * reach; ++window.x)
      find_nearest_images({inner, elements}, others, window, ranks, nearest);
  take_nearest_of_all(ranks, count, nearest);
  return per_element(nearest.distance, elements);
}

std::int64_t rows_to_shift(const data::Dataset& others) {
  constexpr std::int64_t kMostShifted = 250, kFewestShifted = 50, kProducts = kMostShifted * 60'000 * 784;
  const std::int64_t of_one = others.count() * graph::element_count(others.sample_shape);
  return std::clamp(kProducts / std::max<std::int64_t>(of_one, 1), kFewestShifted, kMostShifted);
}

}  // namespace gan::eval
