#pragma once

#include <dnnl.hpp>

#include "runtime/kernels.h"

namespace gan::runtime::onednn {

dnnl::engine& engine();
dnnl::stream& stream();

dnnl::memory::data_type data_type(graph::DType dtype);

/// A contraction's post-ops in oneDNN's form, with the memory of their operands. `result` describes the
/// result; its axis `channel` is the one that row operands belong to.
struct PostOpArguments {
  dnnl::post_ops ops;
  std::vector<std::pair<int, dnnl::memory>> memories;  ///< execution arguments
};
PostOpArguments post_op_arguments(const std::vector<PostOp>& post_ops, const dnnl::memory::desc& result,
                                  std::size_t channel);

}  // namespace gan::runtime::onednn
