#include "metrics/prdc.h"

#include <algorithm>
#include <cstdint>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace gan::metrics {

namespace {

/// The squared distance from each row to its k-th nearest other row.
std::vector<float> ball_radii(const Rows& rows, int k, const runtime::Backend* backend) {
  const auto kept = static_cast<std::size_t>(k);
  std::vector<float> smallest(static_cast<std::size_t>(rows.count()) * kept, std::numeric_limits<float>::infinity());
  const auto visit = [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    float* mine = smallest.data() + static_cast<std::size_t>(i) * kept;  // ascending
    for (std::size_t j = 0; j < squared.size(); ++j) {
      if (squared[j] >= mine[kept - 1] || first + static_cast<std::int64_t>(j) == i) continue;
      float* place = std::upper_bound(mine, mine + kept - 1, squared[j]);
      std::copy_backward(place, mine + kept - 1, mine + kept);
      *place = squared[j];
    }
  };
  for_each_distance(rows, rows, visit, runtime::one_rank(), backend);
  std::vector<float> radii;
  for (std::size_t i = kept - 1; i < smallest.size(); i += kept) radii.push_back(smallest[i]);
  return radii;
}

double share(const std::vector<std::uint8_t>& flags) {
  return static_cast<double>(std::count(flags.begin(), flags.end(), 1)) / static_cast<double>(flags.size());
}

}  // namespace

Prdc prdc(const Rows& real, const Rows& fake, int k, const runtime::Backend* backend) {
  require_same_width(real, fake);
  if (k < 1 || real.count() <= k || fake.count() <= k)
    base::fail_usage("{} real samples and {}; precision and coverage by {} neighbours need more than {} each",
                     real.count(), base::counted(fake.count(), "generated sample"), k, k);
  const std::vector<float> real_radii = ball_radii(real, k, backend), fake_radii = ball_radii(fake, k, backend);
  const auto fakes = static_cast<std::size_t>(fake.count()), reals = static_cast<std::size_t>(real.count());
  std::vector<std::uint8_t> precise(fakes), recalled(reals), covered(reals);
  std::vector<std::int64_t> balls(fakes);
  // A thread may write only to its own row i, so results for real rows need a second pass with the sides exchanged.
  const auto count_balls = [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    for (std::size_t j = 0; j < squared.size(); ++j)
      balls[static_cast<std::size_t>(i)] += squared[j] < real_radii[static_cast<std::size_t>(first) + j];
  };
  for_each_distance(fake, real, count_balls, runtime::one_rank(), backend);
  const auto judge_real = [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    const auto row = static_cast<std::size_t>(i);
    for (std::size_t j = 0; j < squared.size(); ++j) {
      recalled[row] |= squared[j] < fake_radii[static_cast<std::size_t>(first) + j];
      covered[row] |= squared[j] < real_radii[row];
    }
  };
  for_each_distance(real, fake, judge_real, runtime::one_rank(), backend);
  std::int64_t total = 0;
  for (std::size_t i = 0; i < fakes; ++i) {
    precise[i] = balls[i] > 0;
    total += balls[i];
  }
  return {share(precise), share(recalled), static_cast<double>(total) / static_cast<double>(k * fake.count()),
          share(covered)};
}

}  // namespace gan::metrics
