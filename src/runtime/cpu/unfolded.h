#pragma once

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// Whether a convolution is computed as a matrix product: with AVX-512 FP16 all of bf16 operands; with AMX or
/// AVX-512 BF16 those with few channels and all gradients with respect to weights, for which oneDNN reaches a tenth of
/// the peak rate; grouped ones never.
bool is_unfolded(const Product& product);

/// A convolution as a product with the unfolded src (im2col; Chellapilla et al. 2006): one row [KH, KW, I] per position
/// of dst [N, H', W', O], the elements that the kernel covers there. Gradients with respect to weights read the rows in
/// place from a padded copy of src, if KW * I is a multiple of 16.
MadeProduct unfolded_kernel(const Product& product, Workspace& workspace);
std::size_t unfolded_workspace(const Product& product);

}  // namespace gan::runtime::cpu
