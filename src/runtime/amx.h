#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "runtime/kernels.h"
#include "runtime/machine_code.h"

namespace gan::runtime {

/// Whether products of bf16 matrices run on the processor's own matrix registers (AMX), by the kernel below: the
/// processor has them, the system lets this process use them, and oneDNN was not told to leave them alone.
bool has_amx();

/// Where the rows of a right operand [k, n] lie if not one behind the other, as numbers counted from its address:
/// number (r, c) is at rows[r] + blocks[c / kBlock] + c % kBlock. The rest of the last block may be read, too.
struct GatheredRows {
  static constexpr std::int64_t kBlock = 16;
  std::vector<std::int64_t> rows, blocks;
};

/// The product of bf16 matrices, handed to a chain a piece at a time while that is in the caches. The result depends on
/// the sizes alone. `spec.dst` and `spec.post_ops` are not used. Operands may be f32 if a is not transposed and b is:
/// each number is multiplied as the sum of two of bf16, which keeps 16 of its 24 bits (relative error some 4e-6).
/// Rows of b that are gathered may overlap; then b is bf16, not transposed, and not frozen.
std::function<void()> amx_kernel(const MatmulSpec& spec, PieceFunction chain, GatheredRows b = {});

}  // namespace gan::runtime
