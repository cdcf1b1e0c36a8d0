#pragma once

#include <cstdint>
#include <functional>

#include "runtime/kernels.h"

namespace gan::runtime {

/// How a matrix lies in memory.
enum class Stored : std::uint8_t { f32, bf16 };

/// Whether matvec_kernel can compute a product: one row or one column times a matrix, in f32 or bf16.
bool is_matvec(const MatmulSpec& spec);

/// A product that is_matvec, by dot products of our own: oneDNN's kernels are made for many rows. Its memory is made
/// here, so that a run allocates nothing. It runs on one thread if the matrix is frozen, because then it serves single
/// samples, for which waking a second thread can cost more than all the work; else on all. The threads do not change
/// the result.
std::function<void()> matvec_kernel(const MatmulSpec& spec);

}  // namespace gan::runtime
