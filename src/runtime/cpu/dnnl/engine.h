#pragma once

#include <dnnl.hpp>

#include <memory>
#include <utility>
#include <vector>

#include "runtime/cpu/chain.h"

namespace gan::runtime::cpu::onednn {

dnnl::engine& engine();
dnnl::stream& stream();

dnnl::memory::data_type data_type(graph::DType dtype);

/// A linear chain as post-ops with the memory of their operands. `result` describes the result; its axis 1 is the axis
/// of row operands.
struct PostOps {
  dnnl::post_ops ops;
  std::vector<std::pair<int, dnnl::memory>> memories;  ///< execution arguments
  std::shared_ptr<std::vector<float>> constants;       ///< referred to by some of the memories
};
PostOps post_ops(const BoundChain& epilogue, const dnnl::memory::desc& result);

}  // namespace gan::runtime::cpu::onednn
