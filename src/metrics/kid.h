#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

/// A mean and its standard error.
struct Estimate {
  double mean = 0, se = 0;
};

/// The unbiased estimate of MMD^2 between rows a [N, D] and b [M, D] under the kernel (xy / D + 1)^3. 0 for equal
/// distributions, and below 0 by chance. Throws a usage error for fewer than two rows a side.
double mmd_squared(const Rows& a, const Rows& b);

/// The kernel distance KID (Binkowski et al. 2018, arXiv 1801.01401): the mean of mmd_squared over blocks of
/// min(1,000, a tenth) rows a side. The paper draws blocks that overlap; these do not, so that their spread says how
/// far the mean may be off. Throws a usage error for fewer than four rows a side.
Estimate kid(const Rows& a, const Rows& b, std::uint64_t seed = 0);

}  // namespace gan::metrics
