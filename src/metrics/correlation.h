#pragma once

#include <vector>

#include "metrics/rows.h"

namespace gan::metrics {

/// Pearson's correlations of the columns of rows [N, D], as [D, D]; 0 with a constant column, whose own is 1. Throws a
/// usage error for fewer than two rows.
std::vector<double> correlation(const Rows& rows);

/// How two matrices of correlations [D, D] differ off the diagonal.
struct CorrelationDifference {
  double largest = 0, mean = 0;  ///< of absolute differences; 0 for fewer than two columns
  struct Pair {
    std::int64_t i = 0, j = 0;  ///< columns, i < j
    double a = 0, b = 0;        ///< their correlation in either matrix
  };
  std::vector<Pair> pairs;  ///< those that differ most, the largest difference first
};

/// Throws a usage error unless both matrices have `width` x `width` elements.
CorrelationDifference compare_correlations(const std::vector<double>& a, const std::vector<double>& b,
                                           std::int64_t width, std::size_t most_pairs);

}  // namespace gan::metrics
