#include "metrics/modes.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace gan::metrics {

ModeCount count_modes(const Rows& samples, const Rows& modes, double deviation) {
  require_same_width(samples, modes);
  const double limit = 9 * deviation * deviation;
  ModeCount count;
  std::vector<bool> found(static_cast<std::size_t>(modes.count()));
  std::int64_t good = 0;
  for (std::int64_t i = 0; i < samples.count(); ++i) {
    double best = std::numeric_limits<double>::infinity();
    std::int32_t nearest = 0;
    for (std::int64_t m = 0; m < modes.count(); ++m) {
      const double squared = squared_distance(samples.row(i), modes.row(m));
      if (squared >= best) continue;
      best = squared;
      nearest = static_cast<std::int32_t>(m);
    }
    count.nearest.push_back(nearest);
    if (best > limit) continue;
    ++good;
    found[static_cast<std::size_t>(nearest)] = true;
  }
  count.found = std::ranges::count(found, true);
  count.high_quality = static_cast<double>(good) / static_cast<double>(samples.count());
  return count;
}

ModeShares share_modes(std::span<const std::int32_t> of_samples, std::int64_t modes) {
  if (of_samples.empty() || modes < 1) base::fail_usage("shares of modes need at least one sample and one mode");
  std::vector<std::int64_t> counts(static_cast<std::size_t>(modes));
  for (const std::int32_t mode : of_samples) {
    if (mode < 0 || mode >= modes) base::fail_usage("mode {}; expected 0 to {}", mode, modes - 1);
    ++counts[static_cast<std::size_t>(mode)];
  }
  ModeShares shares;
  for (const std::int64_t count : counts) {
    if (count == 0) continue;
    ++shares.found;
    const double share = static_cast<double>(count) / static_cast<double>(of_samples.size());
    shares.divergence += share * std::log(share * static_cast<double>(modes));
  }
  return shares;
}

}  // namespace gan::metrics
