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

/// A linear chain in oneDNN's form, with the memory of its operands. `result` describes the result; its axis 1 is the
/// one that row operands belong to.
struct PostOps {
  dnnl::post_ops ops;
  std::vector<std::pair<int, dnnl::memory>> memories;  ///< execution arguments
  std::shared_ptr<std::vector<float>> constants;       ///< what some of these show
};
PostOps post_ops(const BoundChain& tail, const dnnl::memory::desc& result);

}  // namespace gan::runtime::cpu::onednn
