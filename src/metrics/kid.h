#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

/// A mean and its standard error.
struct Estimate {
  double mean = 0, se = 0;
};

/// The unbiased estimate of MMD^2 between rows a [N, D] and b [M, D] under the kernel (xy / D + 1)^3. Its mean is 0 for
/// equal distributions, so it may be below 0. Throws a usage error for fewer than two rows a side.
double mmd_squared(const Rows& a, const Rows& b);

/// The kernel distance KID (Binkowski et al. 2018, arXiv 1801.01401): the mean of mmd_squared over random blocks of a
/// tenth of the rows a side, at most 1,000 and, with enough rows for two blocks, at least 10. Unlike the paper's, the
/// blocks do not overlap, so that their spread gives the standard error. Throws a usage error for fewer than four rows
/// a side.
Estimate kid(const Rows& a, const Rows& b, std::uint64_t seed = 0);

}  // namespace gan::metrics
