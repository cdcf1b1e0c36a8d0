#include "eval/columns.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "eval/periodic.h"
#include "metrics/kolmogorov_smirnov.h"

namespace gan::eval {

namespace {

constexpr std::size_t kPairsListed = 5;

/// Column `c` in the data's units. Values are clamped to the range of f32, since the exponential of a bad sample may be
/// infinite.
std::vector<double> values_of(const data::Dataset& vectors, std::size_t c) {
  constexpr double kLargestFloat = std::numeric_limits<float>::max();
  const auto width = static_cast<std::size_t>(vectors.sample_shape[0]);
  const data::Scaling scaling = vectors.units.columns.empty() ? data::Scaling() : vectors.units.columns[c].scaling;
  std::vector<double> values;
  for (std::size_t i = c; i < vectors.points.size(); i += width)
    values.push_back(std::clamp(scaling.undo(static_cast<double>(vectors.points[i])), -kLargestFloat, kLargestFloat));
  return values;
}

double mean_of(const std::vector<double>& values) {
  double mean = 0;
  for (const double value : values) mean += value / static_cast<double>(values.size());
  return mean;
}

double deviation_of(const std::vector<double>& values, double mean) {
  double square = 0;
  for (const double value : values) square += (value - mean) * (value - mean) / static_cast<double>(values.size());
  return std::sqrt(square);
}

std::string name_of(const data::Dataset& vectors, std::size_t c) {
  return vectors.units.columns.empty() ? std::to_string(c) : vectors.units.columns[c].name;
}

/// Numeric columns of the condition of vectors.
struct Numbers {
  std::vector<std::string> names;
  std::vector<std::vector<float>> columns;
};

/// The values of the numeric columns of `condition` for the vectors; sine and cosine of periodic ones.
Numbers numbers_of(const data::Dataset& vectors, const data::ConditionSpec& condition) {
  Numbers numbers;
  for (const data::ConditionColumn& column : condition.columns) {
    if (!column.is_numeric()) continue;
    const std::span<const float> values =
        vectors.rows.numbers(static_cast<std::size_t>(vectors.condition.find(column.name)));
    if (column.number.period == 0) {
      numbers.names.push_back(column.name);
      numbers.columns.emplace_back(values.begin(), values.end());
      continue;
    }
    std::vector<float> sine, cosine;
    for (const float value : values) {
      const double angle = angle_of(column.number, static_cast<double>(value));
      sine.push_back(static_cast<float>(std::sin(angle)));
      cosine.push_back(static_cast<float>(std::cos(angle)));
    }
    numbers.names.push_back("sin " + column.name);
    numbers.names.push_back("cos " + column.name);
    numbers.columns.push_back(std::move(sine));
    numbers.columns.push_back(std::move(cosine));
  }
  return numbers;
}

std::vector<double> correlations_of(const data::Dataset& vectors, const Numbers& numbers) {
  const auto width = static_cast<std::size_t>(vectors.sample_shape[0]);
  std::vector<float> rows;
  for (std::size_t i = 0; i < static_cast<std::size_t>(vectors.count()); ++i) {
    const auto row = vectors.points.begin() + static_cast<std::ptrdiff_t>(i * width);
    rows.insert(rows.end(), row, row + static_cast<std::ptrdiff_t>(width));
    for (const std::vector<float>& column : numbers.columns) rows.push_back(column[i]);
  }
  return metrics::correlation({rows, static_cast<std::int64_t>(width + numbers.columns.size())});
}

}  // namespace

std::vector<ColumnScore> compare_columns(const data::Dataset& real, const data::Dataset& samples) {
  std::vector<ColumnScore> scores;
  for (std::size_t c = 0; c < static_cast<std::size_t>(real.sample_shape[0]); ++c) {
    const std::vector<double> a = values_of(real, c), b = values_of(samples, c);
    ColumnScore& score = scores.emplace_back();
    score.name = name_of(real, c);
    if (!real.units.columns.empty()) score.unit = real.units.columns[c].unit;
    score.distance = metrics::kolmogorov_smirnov(a, b);
    score.real_mean = mean_of(a), score.real_deviation = deviation_of(a, score.real_mean);
    score.mean = mean_of(b), score.deviation = deviation_of(b, score.mean);
  }
  return scores;
}

Correlations compare_correlations(const data::Dataset& real, const data::Dataset& samples) {
  Correlations result;
  for (std::size_t c = 0; c < static_cast<std::size_t>(real.sample_shape[0]); ++c)
    result.names.push_back(name_of(real, c));
  const Numbers of_real = numbers_of(real, samples.condition), of_samples = numbers_of(samples, samples.condition);
  result.names.insert(result.names.end(), of_real.names.begin(), of_real.names.end());
  result.real = correlations_of(real, of_real);
  result.samples = correlations_of(samples, of_samples);
  result.difference = metrics::compare_correlations(result.real, result.samples,
                                                    static_cast<std::int64_t>(result.names.size()), kPairsListed);
  return result;
}

}  // namespace gan::eval
