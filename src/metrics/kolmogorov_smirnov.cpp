#include "metrics/kolmogorov_smirnov.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gan::metrics {

double kolmogorov_smirnov(std::vector<double> a, std::vector<double> b) {
  if (a.empty() || b.empty()) base::fail_usage("Kolmogorov-Smirnov distance: {} and {} numbers", a.size(), b.size());
  for (const std::vector<double>* values : {&a, &b})
    if (std::ranges::any_of(*values, [](double value) { return std::isnan(value); }))
      base::fail_usage("Kolmogorov-Smirnov distance: NaN");
  std::ranges::sort(a);
  std::ranges::sort(b);
  double largest = 0;
  for (std::size_t i = 0, j = 0; i < a.size() && j < b.size();) {
    const double value = std::min(a[i], b[j]);  // both functions are compared behind all that equal it
    while (i < a.size() && a[i] == value) ++i;
    while (j < b.size() && b[j] == value) ++j;
    const double difference =
        static_cast<double>(i) / static_cast<double>(a.size()) - static_cast<double>(j) / static_cast<double>(b.size());
    largest = std::max(largest, std::abs(difference));
  }
  return largest;
}

double kolmogorov_smirnov_chance(std::int64_t n, std::int64_t m) {
  const auto a = static_cast<double>(n), b = static_cast<double>(m);
  return std::min(1.0, 1.358 * std::sqrt((a + b) / (a * b)));
}

}  // namespace gan::metrics
