#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "graph/chain.h"

namespace gan::graph {

class Graph;
struct Node;

/// The fusions that a backend supports, for the scheduler. Plain values, so that schedules for any target can be made
/// and tested on any machine.
struct Target {
  std::string name;
  /// Most nodes of one kernel with a chain, its product included; with more, intermediate values no longer fit into the
  /// L1 cache.
  std::size_t longest_chain = 40;
  /// Most nodes of a matrix product or convolution with its epilogue (scale, bias, activation), such as post-ops of
  /// oneDNN or epilogues of cuBLASLt. 0 or 1: no epilogues.
  std::size_t longest_epilogue = 16;
  /// The ops that an epilogue supports.
  std::vector<ElementwiseOp> epilogue_ops = {ElementwiseOp::copy,   ElementwiseOp::add,        ElementwiseOp::mul,
                                             ElementwiseOp::relu,   ElementwiseOp::leaky_relu, ElementwiseOp::tanh,
                                             ElementwiseOp::sigmoid};
  /// Operands of epilogues are rows, such as a bias; scalars and operands of full shape are not.
  bool epilogue_operands_are_rows = false;
  /// Grouped convolutions get epilogues, too.
  bool epilogues_of_groups = true;
  /// f32 products get an epilogue only if their second operand is transposed; others are faster without.
  bool epilogue_wants_transposed_b = true;
  /// Kernels of bf16 matrix products run any chain on each piece of the result while it is in the cache.
  bool bf16_products_run_chains = false;
  /// Chains can sum over rows, so that the summands need not be stored.
  bool chains_sum_rows = false;
  /// Shortest row, in elements, that chains sum; shorter ones would leave vectors partly empty.
  std::int64_t shortest_summed_row = 16;

  bool in_epilogue(ElementwiseOp op) const {
    return std::find(epilogue_ops.begin(), epilogue_ops.end(), op) != epilogue_ops.end();
  }
};

/// Whether the kernel of this node supports an epilogue.
bool has_epilogue(const Target& target, const Graph& graph, const Node& node);
/// Whether the kernel of this node runs a chain on each piece of its result.
bool runs_chain(const Target& target, const Graph& graph, const Node& node);
/// Whether this node is a sum over rows that can be fused into the chain of its operand.
bool is_sum_of_rows(const Target& target, const Graph& graph, const Node& node);

}  // namespace gan::graph
