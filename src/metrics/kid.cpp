#include "metrics/kid.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace gan::metrics {

namespace {

constexpr std::int64_t kLargestBlock = 1000, kSmallestBlock = 10;

/// The sum of the kernel over all pairs of rows, without the pairs of a row with itself if `skip_self` is set.
double kernel_sum(const Rows& a, const Rows& b, bool skip_self) {
  std::vector<double> sums(static_cast<std::size_t>(a.count()));
  for_each_product(a, b, [&](std::int64_t i, std::int64_t first, std::span<const float> products) {
    double sum = 0;
    for (std::size_t j = 0; j < products.size(); ++j) {
      if (skip_self && first + static_cast<std::int64_t>(j) == i) continue;
      const double base = static_cast<double>(products[j]) / static_cast<double>(a.width) + 1;
      sum += base * base * base;
    }
    sums[static_cast<std::size_t>(i)] += sum;
  });
  double total = 0;
  for (double sum : sums) total += sum;
  return total;
}

}  // namespace

double mmd_squared(const Rows& a, const Rows& b) {
  require_same_width(a, b);
  if (a.count() < 2 || b.count() < 2) base::fail_usage("MMD needs at least two samples a side");
  const auto n = static_cast<double>(a.count()), m = static_cast<double>(b.count());
  return kernel_sum(a, a, true) / (n * (n - 1)) + kernel_sum(b, b, true) / (m * (m - 1)) -
         2 * kernel_sum(a, b, false) / (n * m);
}

Estimate kid(const Rows& a, const Rows& b, std::uint64_t seed) {
  require_same_width(a, b);
  const std::int64_t rows = std::min(a.count(), b.count());
  if (rows < 4) base::fail_usage("KID needs at least four samples a side, {} given", rows);
  const std::int64_t block = std::clamp(rows / 10, std::min(kSmallestBlock, rows / 2), kLargestBlock);
  const std::int64_t blocks = rows / block;
  const std::vector<float> from_a = choose_rows(a, rows, seed), from_b = choose_rows(b, rows, seed + 1);
  std::vector<double> values;
  for (std::int64_t i = 0; i < blocks; ++i)
    values.push_back(
        mmd_squared(Rows{from_a, a.width}.slice(i * block, block), Rows{from_b, b.width}.slice(i * block, block)));
  double mean = 0, squares = 0;
  for (double value : values) mean += value / static_cast<double>(blocks);
  for (double value : values) squares += (value - mean) * (value - mean);
  return {mean, std::sqrt(squares / static_cast<double>(blocks - 1) / static_cast<double>(blocks))};
}

}  // namespace gan::metrics
