#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "eval/scores.h"
#include "metrics/frechet.h"

namespace gan::eval {

/// The rows of these indices.
std::vector<float> rows_of(const metrics::Rows& rows, const std::vector<std::uint32_t>& indices);

/// The rows whose label is `k`.
std::vector<float> rows_of_class(const metrics::Rows& rows, std::span<const std::int32_t> labels, std::size_t k);

/// Features of real images, such as those of a class, from which Frechet distances are measured.
class RealRows {
 public:
  /// `different`: the rows [N, width] without repeats of equal images.
  RealRows(const metrics::Rows& rows, std::vector<float> different);

  /// The Frechet distance of samples [M, width]. Uses frechet_distance_of_few if one side has no more rows than
  /// columns; nullopt if one side has fewer than ten rows.
  std::optional<Scores::Frechet> distance(const metrics::Rows& samples) const;
  std::int64_t different() const { return metrics::Rows{different_, width_}.count(); }

 private:
  std::int64_t width_;
  std::vector<float> different_;
  std::optional<metrics::Gaussian> gaussian_;  // if there are more different rows than columns
};

}  // namespace gan::eval
