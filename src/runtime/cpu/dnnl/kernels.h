#pragma once

#include "runtime/cpu/products.h"

/// Products by oneDNN, with linear epilogues.
namespace gan::runtime::cpu::onednn {

/// dnnl_sgemm: f32, b not transposed, no epilogue. Up to a third faster than the primitive.
MadeProduct sgemm(const Product& product, Workspace& workspace);
MadeProduct matmul(const Product& product, Workspace& workspace);
MadeProduct convolution(const Product& product, Workspace& workspace);

}  // namespace gan::runtime::cpu::onednn
