#include <cmath>
#include <numbers>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "base/sha256.h"
#include "data/reader.h"

namespace gan::data {

namespace {

constexpr std::int64_t kMixturePoints = 50'000;

struct Mode {
  float x, y;
};

// A mixture of Gaussians with standard deviation `sigma` at the modes, with equally many points each. The label of a
// point is the index of its mode.
Dataset make_mixture(std::string_view name, std::span<const Mode> modes, float sigma, const SourceOptions& options) {
  const base::RandomStream random(options.seed, base::stream_of(name), options.split == Split::train ? 0 : 1);
  Dataset dataset;
  dataset.items = kMixturePoints;
  dataset.sample_shape = {2};
  for (const Mode& mode : modes) dataset.modes.insert(dataset.modes.end(), {mode.x, mode.y});
  dataset.mode_deviation = sigma;
  std::vector<std::uint8_t> labels;  // bytes, because the hash is defined over bytes
  for (std::int64_t i = 0; i < kMixturePoints; ++i) {
    const std::size_t mode = static_cast<std::size_t>(i) % modes.size();
    const auto noise = random.normals(static_cast<std::uint64_t>(i));
    dataset.points.push_back(modes[mode].x + sigma * noise[0]);
    dataset.points.push_back(modes[mode].y + sigma * noise[1]);
    labels.push_back(static_cast<std::uint8_t>(mode));
  }
  base::Sha256 hash;
  hash.update(dataset.points.data(), dataset.points.size() * sizeof(float));
  if (options.labels) {
    hash.update(labels.data(), labels.size());
    dataset.rows = std::vector<std::int32_t>(labels.begin(), labels.end());
    dataset.condition = label_condition(static_cast<int>(modes.size()));
  }
  dataset.hash = hash.finish();
  return dataset;
}

Dataset open_ring8(const std::string&, const SourceOptions& options) {
  std::vector<Mode> modes;
  for (int k = 0; k < 8; ++k) {
    const double angle = 2 * std::numbers::pi * k / 8;
    modes.push_back({static_cast<float>(std::cos(angle)), static_cast<float>(std::sin(angle))});
  }
  return make_mixture("ring8", modes, 0.01f, options);
}

Dataset open_grid25(const std::string&, const SourceOptions& options) {
  std::vector<Mode> modes;
  for (int y = -4; y <= 4; y += 2)
    for (int x = -4; x <= 4; x += 2) modes.push_back({static_cast<float>(x), static_cast<float>(y)});
  return make_mixture("grid25", modes, 0.05f, options);
}

}  // namespace

extern const Reader ring8_reader;
const Reader ring8_reader{.name = "ring8",
                          .help = "50,000 points of 8 Gaussians of deviation 0.01 on the unit circle, from the seed",
                          .open = open_ring8,
                          .has_test = [](const std::string&) { return true; }};

extern const Reader grid25_reader;
const Reader grid25_reader{.name = "grid25",
                           .help = "50,000 points of 25 Gaussians of deviation 0.05 at x, y in -4, -2, 0, 2, 4",
                           .open = open_grid25,
                           .has_test = [](const std::string&) { return true; }};

}  // namespace gan::data
