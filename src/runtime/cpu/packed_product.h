#pragma once

#include <cstdint>
#include <functional>

#include "runtime/cpu/machine_code.h"
#include "runtime/cpu/packing.h"
#include "runtime/cpu/product.h"

namespace gan::runtime::cpu {

/// The product of bf16 matrices, handed to a chain a piece at a time while that is in the caches. The result depends on
/// the sizes alone. Rows of b that are gathered may overlap; then b is
/// neither transposed nor frozen.
std::function<void()> packed_product_kernel(const BoundMatmul& spec, PieceFunction chain, GatheredRows b = {});

}  // namespace gan::runtime::cpu
