#pragma once

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// Computes a product of bf16 operands from f32 copies of them, for processors without AVX-512, where oneDNN has no
/// bf16 products. Only tests reach it, which run bf16 programs on any processor.
MadeProduct in_f32(const Product& product, Workspace& workspace);
std::size_t in_f32_workspace(const Product& product);

}  // namespace gan::runtime::cpu
