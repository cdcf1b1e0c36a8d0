#pragma once

#include "runtime/cpu/product.h"

namespace gan::runtime::cpu {

/// A product with one row or one column, in f32 or bf16, by dot products of our own: oneDNN's kernels are made for many
/// rows. It runs on one thread if the matrix is frozen, because then it serves single samples, for which waking a
/// second thread can cost more than all the work; else on all. The threads do not change the result.
MadeProduct matvec_kernel(const Product& product, Workspace& workspace);
std::size_t matvec_workspace(const Product& product);

}  // namespace gan::runtime::cpu
