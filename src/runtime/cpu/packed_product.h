#pragma once

#include <cstdint>
#include <functional>

#include "runtime/cpu/machine_code.h"
#include "runtime/cpu/packing.h"
#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// A product of bf16 matrices by AMX, AVX-512 FP16 or AVX-512 BF16 that runs `chain` on each piece of the result while
/// it is in the cache. The order of summation depends on the sizes only. If `b` is not empty, it gives the places of
/// the rows of spec.b, which may overlap; spec.b must then be neither transposed nor frozen.
std::function<void()> packed_product_kernel(const BoundMatmul& spec, PieceFunction chain, GatheredRows b = {});

}  // namespace gan::runtime::cpu
