#include "eval/neighbours.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <span>

#include "data/shuffle.h"
#include "eval/periodic.h"
#include "metrics/nearest.h"

namespace gan::eval {

namespace {

constexpr std::int64_t kMostVectors = 20'000;

/// A random subset of at most kMostVectors vectors, with their conditions.
data::Dataset some_of(const data::Dataset& real) {
  if (real.count() <= kMostVectors) return real;
  data::Shuffle shuffle(static_cast<std::uint32_t>(real.count()), 0);
  return data::subset(real, shuffle.epoch(0).first(kMostVectors));
}

/// The mean of the numbers of these rows; the circular mean if they are periodic.
double mean_of(const data::NumberColumn& column, std::span<const float> values, std::span<const std::uint32_t> rows) {
  double sum = 0, sine = 0, cosine = 0;
  for (const std::uint32_t row : rows) {
    const auto value = static_cast<double>(values[row]);
    sum += value;
    if (column.period == 0) continue;
    sine += std::sin(angle_of(column, value));
    cosine += std::cos(angle_of(column, value));
  }
  return column.period > 0 ? value_of_direction(column, sine, cosine) : sum / static_cast<double>(rows.size());
}

/// The most frequent label of these rows; the smallest if several are equally frequent.
std::int32_t most_frequent(std::span<const std::int32_t> labels, std::span<const std::uint32_t> rows) {
  std::map<std::int32_t, int> counts;
  for (const std::uint32_t row : rows) ++counts[labels[row]];
  return std::ranges::max_element(counts, {}, [](const auto& entry) { return entry.second; })->first;
}

}  // namespace

Neighbours::Neighbours(const data::Dataset& real) : width_(real.sample_shape[0]) {
  const data::Dataset chosen = some_of(real);
  const auto width = static_cast<std::size_t>(width_);
  const auto count = static_cast<double>(chosen.count());
  std::vector<double> squares(width);
  mean_.resize(width);
  for (std::size_t i = 0; i < chosen.points.size(); ++i) mean_[i % width] += static_cast<double>(chosen.points[i]);
  for (double& mean : mean_) mean /= count;
  for (std::size_t i = 0; i < chosen.points.size(); ++i) {
    const double far = static_cast<double>(chosen.points[i]) - mean_[i % width];
    squares[i % width] += far * far;
  }
  for (const double square : squares) scale_.push_back(square > 0 ? std::sqrt((count - 1) / square) : 1);
  rows_ = standardized(chosen);
  if (const int c = class_column(chosen.condition); c >= 0) {
    const std::span<const std::int32_t> labels = chosen.rows.categories(static_cast<std::size_t>(c));
    labels_.assign(labels.begin(), labels.end());
  }
  for (std::size_t c = 0; c < chosen.condition.columns.size(); ++c) {
    if (!chosen.condition.columns[c].is_numeric()) continue;
    numbers_.push_back(chosen.condition.columns[c].number);
    numbers_.back().name = chosen.condition.columns[c].name;
    const std::span<const float> values = chosen.rows.numbers(c);
    values_.emplace_back(values.begin(), values.end());
  }
}

std::vector<float> Neighbours::standardized(const data::Dataset& vectors) const {
  std::vector<float> rows(vectors.points.size());
  for (std::size_t i = 0; i < rows.size(); ++i) {
    const std::size_t c = i % static_cast<std::size_t>(width_);
    rows[i] = static_cast<float>((static_cast<double>(vectors.points[i]) - mean_[c]) * scale_[c]);
  }
  return rows;
}

Embedded Neighbours::read(const data::Dataset& vectors) const {
  Embedded result;
  result.features = standardized(vectors);
  if (labels_.empty() && numbers_.empty()) return result;
  const std::vector<std::uint32_t> nearest = metrics::k_nearest({result.features, width_}, {rows_, width_}, kNearest);
  for (std::size_t first = 0; first < nearest.size(); first += kNearest) {
    const std::span<const std::uint32_t> rows = std::span(nearest).subspan(first, kNearest);
    if (!labels_.empty()) result.classes.push_back(most_frequent(labels_, rows));
    for (std::size_t c = 0; c < numbers_.size(); ++c)
      result.numbers.push_back(static_cast<float>(mean_of(numbers_[c], values_[c], rows)));
  }
  return result;
}

}  // namespace gan::eval
