#include "graph/target.h"

#include "graph/graph.h"

namespace gan::graph {

bool has_epilogue(const Target& target, const Graph& graph, const Node& node) {
  if (target.longest_epilogue == 0 || !node.op->contraction) return false;
  const Spec spec = node.op->describe(graph, node);
  if (const auto* convolution = std::get_if<Convolution>(&spec))
    return convolution->kind == Convolution::Kind::forward &&
           (target.epilogues_of_groups || convolution->groups() == 1);
  const auto* product = std::get_if<Matmul>(&spec);
  return product && (product->operands != DType::f32 || product->transpose_b || product->m == 1 ||
                     !target.epilogue_wants_transposed_b);
}

bool runs_chain(const Target& target, const Graph& graph, const Node& node) {
  if (!target.bf16_products_run_chains || !node.op->contraction) return false;
  const Spec spec = node.op->describe(graph, node);
  const auto* product = std::get_if<Matmul>(&spec);
  return product && product->operands == DType::bf16 && product->m > 1 && product->n > 1;
}

bool is_sum_of_rows(const Target& target, const Graph& graph, const Node& node) {
  if (!target.chains_sum_rows || !node.op->describe) return false;
  const Spec spec = node.op->describe(graph, node);
  const auto* sum = std::get_if<Reduce>(&spec);
  if (!sum || sum->kind != Reduce::Kind::sum) return false;
  const ChainOperand operand = broadcast_operand(sum->to, sum->from);
  return operand.access == Access::row && operand.period >= target.shortest_summed_row;
}

}  // namespace gan::graph
