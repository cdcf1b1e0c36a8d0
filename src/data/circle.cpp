#include <cmath>
#include <cstdint>
#include <numbers>
#include <string>
#include <utility>
#include <vector>

#include "base/random.h"
#include "data/columns.h"
#include "data/made_up.h"
#include "data/reader.h"

namespace gan::data {

namespace {

constexpr float kDeviation = 0.02f;
constexpr int kPoints = 10;  // per angle

// The circular Gaussians of CcGAN (Ding et al. 2021, arXiv 2011.07466, section 5.1): 120 angles of the unit circle. The
// test part has 360 other angles.
Dataset open(const std::string&, const SourceOptions& options) {
  const bool train = options.split == Split::train;
  const int angles = train ? 120 : 360;
  const base::RandomStream random(options.seed, base::stream_of("circle"), train ? 0 : 1);
  Dataset dataset;
  dataset.items = angles * kPoints;
  dataset.sample_shape = {2};
  dataset.circle_radius = 1;
  dataset.mode_deviation = kDeviation;
  std::vector<float> degrees;
  for (std::int64_t i = 0; i < dataset.items; ++i) {
    const double angle = train ? 3.0 * static_cast<double>(i / kPoints) : static_cast<double>(i / kPoints) + 0.5;
    const double radians = angle * std::numbers::pi / 180;
    const auto noise = random.normals(static_cast<std::uint64_t>(i));
    degrees.push_back(static_cast<float>(angle));
    dataset.points.push_back(static_cast<float>(std::cos(radians)) + kDeviation * noise[0]);
    dataset.points.push_back(static_cast<float>(std::sin(radians)) + kDeviation * noise[1]);
  }
  if (options.labels) {
    const std::string names[] = {"angle"};
    check_columns(options.read, names, "circle");
    add_numbers(dataset, "angle", "degrees", 360, std::move(degrees), options, "circle");
  }
  dataset.hash = hash_of(dataset);
  return dataset;
}

}  // namespace

extern const Reader circle_reader;
const Reader circle_reader{
    .name = "circle",
    .help = "10 points at each of 120 angles of the unit circle, with deviation 0.02; the condition is the angle",
    .open = open,
    .has_test = [](const std::string&) { return true; },
    .default_condition = "angle"};

}  // namespace gan::data
