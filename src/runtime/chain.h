#pragma once

#include "runtime/kernels.h"

namespace gan::runtime {

/// Post-ops as a chain over [elements / columns, columns]: from `src` to `dst`.
TileProgram post_op_chain(const std::vector<PostOp>& post_ops, const TileOperand& src, void* dst, graph::DType dtype,
                          std::int64_t elements, std::int64_t columns);

}  // namespace gan::runtime
