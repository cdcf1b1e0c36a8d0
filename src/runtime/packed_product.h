#pragma once

#include <cstdint>
#include <functional>

#include "runtime/kernels.h"
#include "runtime/machine_code.h"
#include "runtime/packing.h"

namespace gan::runtime {

/// What the kernel below multiplies with.
enum class Multiplier : std::uint8_t {
  none,    ///< this processor has nothing that it could use
  halves,  ///< vectors of fp16 (AVX-512 FP16): bf16's numbers become halves, each line scaled by a power of two; 32
           ///< products at a time are added up in fp16, 256 as sums of such sums, the rest in f32. That errs by some
           ///< 9e-4 of the norm of normal numbers' products, where rounding operands to bf16 has cost 2.3e-3
           ///< (docs/design/0011).
  tiles,   ///< matrix registers (AMX), which add up in f32
};

/// The best that the processor has and the system lets this process use, unless oneDNN was told to leave it alone
/// (ONEDNN_MAX_CPU_ISA).
Multiplier multiplier();

/// Makes `multiplier` be none where it would be halves, to see what other processors get. Must be called before
/// anything is computed.
void pretend_no_halves();

/// The product of bf16 matrices, handed to a chain a piece at a time while that is in the caches. The result depends on
/// the sizes alone. `spec.dst` and `spec.post_ops` are not used. Rows of b that are gathered may overlap; then b is
/// neither transposed nor frozen.
std::function<void()> packed_product_kernel(const MatmulSpec& spec, PieceFunction chain, GatheredRows b = {});

}  // namespace gan::runtime
