#include "eval/real_rows.h"

#include <algorithm>
#include <utility>

namespace gan::eval {

std::vector<float> rows_of(const metrics::Rows& rows, const std::vector<std::uint32_t>& indices) {
  std::vector<float> chosen;
  for (const std::uint32_t index : indices) {
    const std::span<const float> row = rows.row(index);
    chosen.insert(chosen.end(), row.begin(), row.end());
  }
  return chosen;
}

std::vector<float> rows_of_class(const metrics::Rows& rows, std::span<const std::int32_t> labels, std::size_t k) {
  std::vector<float> chosen;
  for (std::int64_t i = 0; i < rows.count(); ++i) {
    if (labels[static_cast<std::size_t>(i)] != static_cast<std::int32_t>(k)) continue;
    chosen.insert(chosen.end(), rows.row(i).begin(), rows.row(i).end());
  }
  return chosen;
}

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
