#include "metrics/two_sample.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "metrics/nearest.h"

namespace gan::metrics {
namespace {

constexpr std::int64_t kMostRowsTested = 2500, kFewestRowsTested = 10, kFolds = 5;

}  // namespace

double two_sample_auc(const Rows& a, const Rows& b, std::uint64_t seed) {
  require_same_width(a, b);
  const std::int64_t rows = std::min({a.count(), b.count(), kMostRowsTested});
  if (rows < kFewestRowsTested)
    base::fail_usage("a two-sample test needs at least {} rows a side, {} given", kFewestRowsTested, rows);
  const std::vector<float> from_a = choose_rows(a, rows, seed), from_b = choose_rows(b, rows, seed + 1);
  std::vector<double> of_a, of_b;  // shares of a among a row's neighbours
  for (std::int64_t fold = 0; fold < kFolds; ++fold) {
    std::vector<float> tested, others;
    std::vector<bool> tested_is_a, other_is_a;
    // Rows of a and b take turns, so that neither comes first among equally near ones.
    for (std::int64_t i = 0; i < rows; ++i)
      for (const bool is_a : {i % 2 == 0, i % 2 != 0}) {
        const std::span<const float> row = Rows{is_a ? from_a : from_b, a.width}.row(i);
        const bool test = i % kFolds == fold;
        (test ? tested : others).insert((test ? tested : others).end(), row.begin(), row.end());
        (test ? tested_is_a : other_is_a).push_back(is_a);
      }
    const int k = static_cast<int>(std::sqrt(static_cast<double>(other_is_a.size())));
    const std::vector<std::uint32_t> nearest = k_nearest({tested, a.width}, {others, a.width}, k);
    for (std::size_t row = 0; row < tested_is_a.size(); ++row) {
      const auto first = nearest.begin() + static_cast<std::ptrdiff_t>(row) * k;
      const auto found = std::count_if(first, first + k, [&](std::uint32_t index) { return other_is_a[index]; });
      (tested_is_a[row] ? of_a : of_b).push_back(static_cast<double>(found) / k);
    }
  }
  return share_smaller(of_b, of_a);
}

}  // namespace gan::metrics
