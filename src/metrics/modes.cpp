#include "metrics/modes.h"

#include <algorithm>
#include <limits>

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

}  // namespace gan::metrics
