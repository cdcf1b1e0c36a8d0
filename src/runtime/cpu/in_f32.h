#pragma once

#include "runtime/cpu/product.h"

namespace gan::runtime::cpu {

/// A product of bf16 operands from copies of them in f32, for processors whose bf16 oneDNN does not know (without
/// AVX-512): the same but for the order of sums, and slower than f32.
MadeProduct in_f32(const Product& product, Workspace& workspace);
std::size_t in_f32_workspace(const Product& product);

}  // namespace gan::runtime::cpu
