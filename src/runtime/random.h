#pragma once

#include <cstddef>
#include <cstdint>

#include "base/random.h"

/// Random numbers many at a time, compiled for several instruction sets, with the same bits in each.
namespace gan::runtime {

/// Writes the first `count` numbers from block `block` on: those of base::RandomStream::uniforms.
void uniforms(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

/// Those of base::RandomStream::normals, but for rounding: their relative error is below 4e-7.
void normals(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count);

}  // namespace gan::runtime
