#pragma once

#include "runtime/cpu/product.h"

/// Products by oneDNN. Their tails are linear.
namespace gan::runtime::cpu::onednn {

/// f32 with b as [k, n], without a tail: dnnl_sgemm, up to a third faster than the primitive.
MadeProduct sgemm(const Product& product, Workspace& workspace);
MadeProduct matmul(const Product& product, Workspace& workspace);
MadeProduct convolution(const Product& product, Workspace& workspace);

}  // namespace gan::runtime::cpu::onednn
