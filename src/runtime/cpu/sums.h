#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

#include "graph/spec.h"
#include "runtime/communicator.h"

namespace gan::runtime::cpu {

/// Rows per partial sum, which bounds the rounding error of long sums.
inline constexpr std::int64_t kSumRows = 32;
/// dst[c] = sum over r of src[r, c] for src [rows, columns]: partial sums of kSumRows rows each, then their sum. The
/// order does not depend on the number of threads; chains with sums use the same order.
void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns);

/// Sums over rows or columns on all threads, other sums and maxima on one.
std::function<void()> reduce_kernel(const graph::Reduce& spec, const float* src, float* dst);

/// A function that adds up tensors of parts on all threads, and over the ranks of `communicator`, if there is one.
std::function<void()> all_reduce_kernel(const graph::AllReduce& spec, std::span<const std::byte* const> inputs,
                                        float* dst, Communicator* communicator);

}  // namespace gan::runtime::cpu
