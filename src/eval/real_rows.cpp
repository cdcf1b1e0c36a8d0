#include "eval/real_rows.h"

#include <algorithm>
#include <utility>

namespace gan::eval {

RealRows::RealRows(const metrics::Rows& rows, std::vector<float> different)
    : width_(rows.width), different_(std::move(different)) {
  if (this->different() > width_) gaussian_ = metrics::fit_gaussian(rows);
}

std::optional<Scores::Frechet> RealRows::distance(const metrics::Rows& samples) const {
  const std::int64_t few = std::min(samples.count(), different());
  if (few < kFewestRows) return std::nullopt;
  if (gaussian_ && samples.count() > width_)
    return Scores::Frechet{metrics::frechet_distance(metrics::fit_gaussian(samples), *gaussian_)};
  const metrics::Rows real{different_, width_};
  return Scores::Frechet{real.count() == few ? metrics::frechet_distance_of_few(real, samples)
                                             : metrics::frechet_distance_of_few(samples, real),
                         few};
}

}  // namespace gan::eval
