#pragma once

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// Products of f32 matrices by AVX2, where there is no AVX-512. Each element is the sum of parts of 256 products, which
/// are summed in order, whatever the number of threads and of other rows and columns.
MadeProduct f32_product(const Product& product, Workspace& workspace);
/// Whether the kernel is for a product: both operands change from run to run, and neither is a vector.
bool is_f32_product(const Product& product);

}  // namespace gan::runtime::cpu
