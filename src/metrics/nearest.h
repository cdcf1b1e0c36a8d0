#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

/// The nearest row found for each of some rows.
struct Nearest {
  std::vector<std::int64_t> index;  ///< -1: none yet
  std::vector<double> distance;     ///< Euclidean, summed in double; infinite: none yet
};

/// Looks for nearer rows in `candidates` [M, D] than `nearest` holds for `rows` [N, D] (empty at first), so that many
/// candidates can come piece by piece; the first is number `first`.
void find_nearest(const Rows& rows, const Rows& candidates, std::int64_t first, Nearest& nearest);

/// The distance from each row to the nearest of the others. Throws a usage error for fewer than two rows.
std::vector<double> nearest_other(const Rows& rows);

double median(std::vector<double> values);

/// The share of pairs (a, b) with a < b, equal ones counted half: 1/2 if both come from one distribution (the
/// statistic of Mann and Whitney 1947). With distances of samples and of held-out real rows to the training rows it
/// tells copying, as in Meehan et al. 2020 (arXiv 2004.05675).
double share_smaller(std::vector<double> a, std::vector<double> b);

}  // namespace gan::metrics
