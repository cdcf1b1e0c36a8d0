#pragma once

#include "runtime/kernels.h"
#include "runtime/machine_code.h"

namespace gan::runtime {

/// Whether products of bf16 matrices run on the processor's own matrix registers (AMX), by the kernel below: the
/// processor has them, the system lets this process use them, and oneDNN was not told to leave them alone.
bool has_amx();

/// The product of bf16 matrices, handed to a chain a piece at a time while that is in the caches. The result depends on
/// the sizes alone. `spec.dst` and `spec.post_ops` are not used. Operands may be f32 if a is not transposed and b is:
/// each number is multiplied as the sum of two of bf16, which keeps 16 of its 24 bits (relative error some 4e-6).
std::function<void()> amx_kernel(const MatmulSpec& spec, PieceFunction chain);

}  // namespace gan::runtime
