#pragma once

#include <cstdint>
#include <vector>

namespace gan::metrics {

/// The Kolmogorov-Smirnov distance of two sets of numbers: the largest difference of their empirical distribution
/// functions, in [0, 1]; 0 for equal distributions, whatever their scale. Throws a usage error if a set is empty or a
/// number is NaN.
double kolmogorov_smirnov(std::vector<double> a, std::vector<double> b);

/// The distance that two random sets of these sizes from one continuous distribution exceed in one of twenty cases:
/// 1.358 sqrt((n + m) / (n m)) (Smirnov 1948), at most 1.
double kolmogorov_smirnov_chance(std::int64_t n, std::int64_t m);

}  // namespace gan::metrics
