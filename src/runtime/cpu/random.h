#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/random.h"
#include "graph/spec.h"

/// Vectorized random numbers, bit for bit equal on all instruction sets.
namespace gan::runtime::cpu {

/// Writes `count` values of base::RandomStream::uniforms, from block `block` (of four values) on.
void uniforms(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

/// Writes those of base::RandomStream::normals, with a relative error below 4e-7.
void normals(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

/// A function that fills dst on all threads. key: the low and the high word of the seed; part: null unless by_part.
std::function<void()> random_kernel(const graph::Random& spec, const std::uint32_t* key, const std::uint32_t* step,
                                    const std::uint32_t* part, float* dst);

}  // namespace gan::runtime::cpu
