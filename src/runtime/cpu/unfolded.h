#pragma once

#include "runtime/cpu/product.h"

namespace gan::runtime::cpu {

/// Whether a convolution had better be a matrix product: of bf16 operands with AMX, those over few channels and all
/// gradients with respect to weights, of which oneDNN reaches a tenth of the processor's rate; with AVX-512 FP16 all.
bool is_unfolded(const Product& product);

/// A convolution as a product with the unfolded src (im2col; Chellapilla et al. 2006): a row [KH, KW, I] of it for each
/// place of dst [N, H', W', O] holds what the kernel covers there. Of gradients with respect to weights the rows are
/// read where they lie in a padded copy of src, if they fit.
MadeProduct unfolded_kernel(const Product& product, Workspace& workspace);
std::size_t unfolded_workspace(const Product& product);

}  // namespace gan::runtime::cpu
