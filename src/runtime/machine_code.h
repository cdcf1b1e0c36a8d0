#pragma once

#include <cstdint>
#include <functional>

#include "runtime/kernels.h"

namespace gan::runtime {

/// Computes elements [begin, end) of a chain of elementwise operations.
using RangeFunction = std::function<void(std::int64_t begin, std::int64_t end)>;

/// The chain as machine code, made now for this processor: one loop that keeps in registers what lies between operands
/// and results. Equal to the tile engine to the last bit. Empty where the tile engine must do: without AVX-512, for exp
/// and its kin, for strided operands, for rows of several lengths, for chains that need more registers than there are.
RangeFunction machine_code(const TileProgram& program);

}  // namespace gan::runtime
