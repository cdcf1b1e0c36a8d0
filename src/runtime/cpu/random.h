#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

#include "base/random.h"
#include "graph/spec.h"

/// Random numbers many at a time, compiled for several instruction sets, with the same bits in each.
namespace gan::runtime::cpu {

/// Writes the first `count` numbers from block `block` on: those of base::RandomStream::uniforms.
void uniforms(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

/// Those of base::RandomStream::normals, but for rounding: their relative error is below 4e-7.
void normals(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

/// Fills dst on all threads for the seed at key, its low and high word, and the step.
std::function<void()> random_kernel(const graph::Random& spec, const std::uint32_t* key, const std::uint32_t* step,
                                    float* dst);

}  // namespace gan::runtime::cpu
