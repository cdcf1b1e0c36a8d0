#include <algorithm>
#include <array>
#include <cmath>
#include <cstdint>
#include <limits>
#include <memory>
#include <numbers>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "base/text.h"
#include "data/columns.h"
#include "data/made_up.h"
#include "data/pixels.h"
#include "data/reader.h"

namespace gan::data {

namespace {

struct Vector {
  double x, y;
};
double dot(Vector a, Vector b) { return a.x * b.x + a.y * b.y; }
Vector difference(Vector a, Vector b) { return {a.x - b.x, a.y - b.y}; }

struct Kind {
  const char* name;
  int corners;   // 0: a circle
  double inner;  // radius of the inner corners of a star; 0: not a star
};
constexpr Kind kShapeKinds[] = {{"circle", 0, 0}, {"hexagon", 6, 0}, {"pentagon", 5, 0},
                                {"square", 4, 0}, {"star", 5, 0.4},  {"triangle", 3, 0}};
constexpr int kCount = static_cast<int>(std::size(kShapeKinds));

// The corners of a shape in the unit circle, the first of them in direction `degrees`.
std::vector<Vector> corners_of(const Kind& kind, double degrees) {
  std::vector<Vector> corners;
  const int count = kind.inner > 0 ? 2 * kind.corners : kind.corners;
  for (int k = 0; k < count; ++k) {
    const double angle = degrees * std::numbers::pi / 180 + 2 * std::numbers::pi * k / count;
    const double radius = kind.inner > 0 && k % 2 == 1 ? kind.inner : 1;
    corners.push_back({radius * std::cos(angle), radius * std::sin(angle)});
  }
  return corners;
}

// The signed distance of a point from the border of a polygon, or of the unit circle if there are no corners; negative
// inside.
double distance(const std::vector<Vector>& corners, Vector p) {
  if (corners.empty()) return std::sqrt(dot(p, p)) - 1;
  double least = std::numeric_limits<double>::max();
  bool inside = false;
  for (std::size_t i = 0, j = corners.size() - 1; i < corners.size(); j = i++) {
    const Vector a = corners[i], edge = difference(corners[j], a), to = difference(p, a);
    const double t = std::clamp(dot(to, edge) / dot(edge, edge), 0.0, 1.0);
    const Vector from = {to.x - t * edge.x, to.y - t * edge.y};
    least = std::min(least, dot(from, from));
    // Counts whether a ray to the right crosses this edge.
    if ((a.y > p.y) != (corners[j].y > p.y) && p.x < a.x + edge.x * to.y / edge.y) inside = !inside;
  }
  return inside ? -std::sqrt(least) : std::sqrt(least);
}

// The colour of this hue, in degrees, with full saturation and value (Smith 1978).
std::array<double, 3> colour_of(double hue) {
  std::array<double, 3> colour{};
  for (int c = 0; c < 3; ++c) {
    const double k = std::fmod(5 - 2 * c + hue / 60, 6);
    colour[static_cast<std::size_t>(c)] = 1 - std::clamp(std::min(k, 4 - k), 0.0, 1.0);
  }
  return colour;
}

struct Shape {
  const Kind* kind;
  double hue, degrees;
  double radius;  // in pixels, as are the coordinates of the centre
  Vector centre;
};

// Draws a shape on black, [side, side, 3]. It is brightest in the direction in which it points, so that the angle of a
// regular shape can be seen.
void draw(const Shape& shape, std::int64_t side, std::uint8_t* pixels) {
  const std::vector<Vector> corners = corners_of(*shape.kind, shape.degrees);
  const std::array<double, 3> colour = colour_of(shape.hue);
  const double radians = shape.degrees * std::numbers::pi / 180;
  const Vector direction = {std::cos(radians), std::sin(radians)};
  for (std::int64_t y = 0; y < side; ++y)
    for (std::int64_t x = 0; x < side; ++x) {
      const Vector p = {(static_cast<double>(x) + 0.5 - shape.centre.x) / shape.radius,
                        (shape.centre.y - static_cast<double>(y) - 0.5) / shape.radius};
      const double cover = std::clamp(0.5 - distance(corners, p) * shape.radius, 0.0, 1.0);
      const double light = std::clamp(0.65 + 0.35 * dot(p, direction), 0.0, 1.0);
      for (const double part : colour) *pixels++ = static_cast<std::uint8_t>(std::lround(255 * cover * light * part));
    }
}

// Parses COUNT and SIZE in "shapes:COUNT:SIZE".
std::pair<std::int64_t, std::int64_t> sizes_of(const std::string& spec) {
  const std::vector<std::string> parts = base::split(spec, ':');
  const std::int64_t count = parts.size() > 1 ? base::parse_number<std::int64_t>(parts[1]).value_or(-1) : 10'000;
  const std::int64_t side = parts.size() > 2 ? base::parse_number<std::int64_t>(parts[2]).value_or(-1) : 32;
  if (parts.size() > 3 || spec.ends_with(':') || count < 2 || count > std::numeric_limits<std::uint32_t>::max() ||
      side < 16 || side > 128)
    base::fail_usage("\"{}\": expected shapes:COUNT:SIZE with at least 2 pictures of 16 to 128 pixels, such as {}",
                     spec, "shapes:5000:64");
  if (count > kMostMadeBytes / (3 * side * side))
    base::fail_usage("\"{}\": these pictures take more than {} GB; at most {} of this size can be drawn", spec,
                     kMostMadeBytes >> 30,
                     base::grouped(static_cast<std::uint64_t>(kMostMadeBytes / (3 * side * side))));
  return {count, side};
}

Dataset open(const std::string& spec, const SourceOptions& options) {
  const auto [count, side] = sizes_of(spec);
  const base::RandomStream random(options.seed, base::stream_of("shapes"), options.split == Split::train ? 0 : 1);
  Dataset dataset;
  dataset.items = count;
  dataset.sample_shape = {3, side, side};
  const auto items = static_cast<std::size_t>(count);
  std::vector<std::int32_t> kinds(items);
  std::vector<float> hues(items), angles(items), sizes(items);
  auto pixels = make_pixels(items * static_cast<std::uint64_t>(3 * side * side), options.cache);
  base::parallel_for(count, /*grain=*/16, [&, side = side](std::int64_t begin, std::int64_t end) {
    for (std::int64_t item = begin; item < end; ++item) {
      const auto i = static_cast<std::size_t>(item);
      const auto values = random.uniforms(2 * i), places = random.uniforms(2 * i + 1);
      kinds[i] = static_cast<std::int32_t>(item % kCount);
      hues[i] = 360 * values[0];
      angles[i] = 360 * values[1];
      sizes[i] = 0.4f + 0.5f * values[2];
      const double radius = 0.5 * sizes[i] * static_cast<double>(side), room = static_cast<double>(side) - 2 * radius;
      draw({.kind = &kShapeKinds[kinds[i]],
            .hue = hues[i],
            .degrees = angles[i],
            .radius = radius,
            .centre = {radius + room * places[0], radius + room * places[1]}},
           side, pixels.get() + item * 3 * side * side);
    }
  });
  dataset.pixels = std::move(pixels);
  if (options.labels) {
    const std::string names[] = {"label", "hue", "angle", "size"};
    check_columns(options.read, names, spec);
    dataset.condition = label_condition(kCount, {});
    for (const Kind& kind : kShapeKinds) dataset.condition.columns[0].names.emplace_back(kind.name);
    dataset.rows = std::move(kinds);
    add_numbers(dataset, "hue", "degrees", 360, std::move(hues), options, spec);
    add_numbers(dataset, "angle", "degrees", 360, std::move(angles), options, spec);
    add_numbers(dataset, "size", "", 0, std::move(sizes), options, spec);
  }
  dataset.hash = hash_of(dataset);
  return dataset;
}

}  // namespace

extern const Reader shapes_reader;
const Reader shapes_reader{.name = "shapes",
                           .help =
                               "shapes or shapes:COUNT:SIZE: coloured polygons, RGB, 16 to 128 pixels wide, from the "
                               "seed; label, hue, angle and size can be conditions",
                           .open = open,
                           .has_test = [](const std::string&) { return true; },
                           .parameters = true};

}  // namespace gan::data
