#include "metrics/correlation.h"

#include <algorithm>
#include <cmath>
#include <functional>

#include "base/error.h"
#include "metrics/frechet.h"

namespace gan::metrics {

std::vector<double> correlation(const Rows& rows) {
  const auto width = static_cast<std::size_t>(rows.width);
  std::vector<double> matrix = fit_gaussian(rows).covariance;
  std::vector<double> deviations(width);
  for (std::size_t i = 0; i < width; ++i) deviations[i] = std::sqrt(matrix[i * width + i]);
  for (std::size_t i = 0; i < width; ++i)
    for (std::size_t j = 0; j < width; ++j) {
      const double scale = deviations[i] * deviations[j];
      double& value = matrix[i * width + j];
      value = i == j ? 1 : scale > 0 ? std::clamp(value / scale, -1.0, 1.0) : 0;
    }
  return matrix;
}

CorrelationDifference compare_correlations(const std::vector<double>& a, const std::vector<double>& b,
                                           std::int64_t width, std::size_t most_pairs) {
  if (width < 1 || a.size() != b.size() || a.size() != static_cast<std::size_t>(width * width))
    base::fail_usage("correlations of {} and {} elements for {} columns", a.size(), b.size(), width);
  CorrelationDifference difference;
  for (std::int64_t i = 0; i < width; ++i)
    for (std::int64_t j = i + 1; j < width; ++j) {
      const auto at = static_cast<std::size_t>(i * width + j);
      difference.pairs.push_back({i, j, a[at], b[at]});
      difference.mean += std::abs(a[at] - b[at]);
    }
  if (difference.pairs.empty()) return difference;
  difference.mean /= static_cast<double>(difference.pairs.size());
  const auto size = [](const CorrelationDifference::Pair& pair) { return std::abs(pair.a - pair.b); };
  std::ranges::stable_sort(difference.pairs, std::greater(), size);
  difference.largest = size(difference.pairs[0]);
  difference.pairs.resize(std::min(difference.pairs.size(), most_pairs));
  return difference;
}

}  // namespace gan::metrics
