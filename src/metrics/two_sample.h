#pragma once

#include <cstdint>

#include "metrics/rows.h"

namespace gan::metrics {

/// The classifier two-sample test of Lopez-Paz and Oquab 2017 (arXiv 1610.06545) with nearest neighbours as the
/// classifier: how well it tells rows a [N, D] from rows b [M, D], as the area under the ROC curve, by five-fold
/// cross-validation on equally many rows of either, at most 2,500. 0.5 for equal distributions, up to chance; 1 if they
/// are told apart without an error. A row is judged by the share of a among its sqrt(rows) nearest of the other folds;
/// equal distances count in random order. Throws a usage error for fewer than ten rows a side.
double two_sample_auc(const Rows& a, const Rows& b, std::uint64_t seed = 0);

}  // namespace gan::metrics
