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

/// What a scheduler may ask of a backend: which nodes its kernels compute together. Plain values, so that schedules for
/// any target can be made and tested on any machine.
struct Target {
  std::string name;
  /// Elementwise nodes in one kernel, at most: with more, what lies between them no longer stays in the L1 cache.
  std::size_t longest_chain = 40;
  /// Elementwise nodes that a product of f32 or bf16 matrices or a convolution applies to its result one after the
  /// other (scale, bias, activation): oneDNN's post-ops, cuBLASLt's epilogues. 0: none.
  std::size_t longest_epilogue = 16;
  /// The ops that such an epilogue knows.
  std::vector<ElementwiseOp> epilogue_ops = {ElementwiseOp::copy,   ElementwiseOp::add,        ElementwiseOp::mul,
                                             ElementwiseOp::relu,   ElementwiseOp::leaky_relu, ElementwiseOp::tanh,
                                             ElementwiseOp::sigmoid};
  /// Of f32 products only those with a transposed second operand have an epilogue; others run faster without.
  bool epilogue_wants_transposed_b = true;
  /// Products of bf16 matrices are handed to a chain of any form piece by piece, while a piece is in the cache.
  bool bf16_products_run_chains = false;
  /// Chains add up rows as they go, so that what is summed need not lie in memory.
  bool chains_sum_rows = false;
  /// Shorter rows are not worth it: vectors would be partly empty.
  std::int64_t shortest_summed_row = 16;

  bool in_epilogue(ElementwiseOp op) const {
    return std::find(epilogue_ops.begin(), epilogue_ops.end(), op) != epilogue_ops.end();
  }
};

/// Whether the kernel of this node can apply elementwise ops to its result one after the other.
bool has_epilogue(const Target& target, const Graph& graph, const Node& node);
/// Whether the kernel of this node hands its result to a chain piece by piece.
bool runs_chain(const Target& target, const Graph& graph, const Node& node);
/// Whether this node is a sum that the chain which computes its input can take along.
bool is_sum_of_rows(const Target& target, const Graph& graph, const Node& node);

}  // namespace gan::graph
