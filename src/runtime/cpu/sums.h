#pragma once

#include <cstdint>
#include <functional>

#include "graph/spec.h"

namespace gan::runtime::cpu {

/// Rows per partial sum, which bounds the rounding error of long sums.
inline constexpr std::int64_t kSumRows = 32;
/// dst[c] = sum over r of src[r, c] for src [rows, columns]: partial sums of kSumRows rows each, then their sum. The
/// order does not depend on the number of threads; chains with sums use the same order.
void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns);

/// A function that computes sums or maxima on all threads.
std::function<void()> reduce_kernel(const graph::Reduce& spec, const float* src, float* dst);

}  // namespace gan::runtime::cpu
