#pragma once

#include <cstdint>
#include <functional>

#include "graph/spec.h"

namespace gan::runtime::cpu {

/// Rows that are added up to a sum of their own, which keeps the rounding error of long sums low.
inline constexpr std::int64_t kSumRows = 32;
/// dst[c] = sum over r of src[r, c] for [rows, columns]: of kSumRows rows at a time, then of these sums. The order does
/// not depend on the threads, and chains with sums keep to it.
void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns);

/// A function that computes sums or largest elements.
std::function<void()> reduce_kernel(const graph::Reduce& spec, const float* src, float* dst);

}  // namespace gan::runtime::cpu
