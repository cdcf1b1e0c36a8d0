#pragma once

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// A product with one row or one column, in f32 or bf16, by dot products; the kernels of oneDNN are made for many rows.
/// A frozen matrix serves single samples, for which waking a second thread can cost more than the work, so the kernel
/// then runs on one thread, else on all. The result does not depend on the number of threads.
MadeProduct matvec_kernel(const Product& product, Workspace& workspace);
std::size_t matvec_workspace(const Product& product);

/// A product of several rows of f32 by a frozen matrix, each row by the kernel above, so that none depends on the
/// others. The rows are divided among all threads.
bool is_matvec_by_rows(const Product& product);
MadeProduct matvec_by_rows(const Product& product, Workspace& workspace);
std::size_t matvec_by_rows_workspace(const Product& product);

}  // namespace gan::runtime::cpu
