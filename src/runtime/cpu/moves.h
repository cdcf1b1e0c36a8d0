#pragma once

#include <functional>
#include <span>

#include "graph/spec.h"

/// Kernels that move elements about or place a few: bound by memory, and not many instructions long.
namespace gan::runtime::cpu {

std::function<void()> copy_kernel(const graph::StridedCopy& spec, std::span<const std::byte* const> inputs,
                                  std::byte* dst);
std::function<void()> gather_kernel(const graph::Gather& spec, const float* table, const std::int32_t* index,
                                    float* dst);
/// On one thread and in order: the sums must not depend on timing.
std::function<void()> scatter_add_kernel(const graph::ScatterAdd& spec, const float* values, const std::int32_t* index,
                                         float* dst);
std::function<void()> one_hot_kernel(const graph::OneHot& spec, const std::int32_t* labels, float* dst);
std::function<void()> shift_kernel(const graph::ShiftImages& spec, const float* src, const float* u, float* dst);
std::function<void()> cutout_kernel(const graph::CutoutMask& spec, const float* u, float* dst);

}  // namespace gan::runtime::cpu
