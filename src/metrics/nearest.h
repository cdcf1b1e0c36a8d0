#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

/// The nearest row found for each of some rows.
struct Nearest {
  std::vector<std::int64_t> index;  ///< -1: none yet
  std::vector<double> distance;     ///< Euclidean, summed in double; infinite: none yet
};

/// Updates `nearest` (empty at first) for `rows` [N, D] with `candidates` [M, D], whose indices begin at `first`. Many
/// candidates can thus be searched piece by piece.
void find_nearest(const Rows& rows, const Rows& candidates, std::int64_t first, Nearest& nearest);

/// The distance from each row to the nearest of the others. The ranks share the rows, and all get the result. Throws a
/// usage error for fewer than two rows.
std::vector<double> nearest_other(const Rows& rows, runtime::Communicator& ranks = runtime::one_rank());

/// The indices of the k nearest candidates [M, D] of each row [N, D], as [N, k], the nearest first, by f32 distances
/// (for_each_distance). Throws a usage error if there are fewer than k candidates.
std::vector<std::uint32_t> k_nearest(const Rows& rows, const Rows& candidates, int k);

/// Of an even number, the mean of the two in the middle. Throws a usage error if there are none.
double median(std::vector<double> values);

/// The share of pairs (a, b) with a < b, equal ones counted half: 1/2 if both come from one distribution (the statistic
/// of Mann and Whitney 1947). For the distances of samples and of held-out real rows to the training rows it detects
/// copying, as in Meehan et al. 2020 (arXiv 2004.05675). Throws a usage error if a or b is empty.
double share_smaller(std::vector<double> a, std::vector<double> b);

}  // namespace gan::metrics
