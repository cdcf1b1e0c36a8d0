#pragma once

#include <functional>

#include "runtime/kernels.h"

namespace gan::runtime {

/// Whether a convolution had better be a matrix product: of bf16 operands with AMX, those over few channels and all
/// gradients of weights, of which oneDNN reaches a tenth of the processor's rate; with AVX-512 FP16 all.
bool convolution_is_unfolded(const ConvolutionSpec& spec);

/// A convolution as a product with the unfolded src (im2col; Chellapilla et al. 2006): a row [KH, KW, I] of it for each
/// place of dst [N, H', W', O] holds what the kernel covers there. Of gradients of weights the rows are read where they
/// lie in a padded copy of src, if they fit.
std::function<void()> unfolded_convolution_kernel(const ConvolutionSpec& spec);

}  // namespace gan::runtime
