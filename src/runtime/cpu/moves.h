#pragma once

#include <functional>
#include <span>

#include "graph/spec.h"

/// Memory-bound kernels that copy, gather or set elements; copy_kernel runs on all threads, the others on one.
namespace gan::runtime::cpu {

std::function<void()> copy_kernel(const graph::StridedCopy& spec, std::span<const std::byte* const> inputs,
                                  std::byte* dst);
std::function<void()> gather_kernel(const graph::Gather& spec, const std::byte* table, const std::int32_t* index,
                                    std::byte* dst);
/// Adds in order, so that the sums are deterministic.
std::function<void()> scatter_add_kernel(const graph::ScatterAdd& spec, const float* values, const std::int32_t* index,
                                         float* dst);
std::function<void()> one_hot_kernel(const graph::OneHot& spec, const std::int32_t* labels, float* dst);
std::function<void()> shift_kernel(const graph::ShiftImages& spec, const float* src, const float* u, float* dst);
std::function<void()> cutout_kernel(const graph::CutoutMask& spec, const float* u, float* dst);

}  // namespace gan::runtime::cpu
