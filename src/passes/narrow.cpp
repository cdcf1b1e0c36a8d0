#include <vector>

#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::Tensor;

namespace {

/// True for matrix products that only slices read, less than 90% of their elements.
std::vector<bool> find_narrowable(const Graph& graph) {
  std::vector<double> share(graph.nodes().size(), 0);  // fraction of the elements that slices read
  std::vector<bool> narrowable(graph.nodes().size(), false);
  for (const Node& node : graph.nodes()) narrowable[static_cast<std::size_t>(node.id)] = node.op == &ops::matmul_op;
  for (const Node& node : graph.nodes())
    for (const NodeId input : node.inputs) {
      const auto source = static_cast<std::size_t>(input);
      if (node.op != &ops::slice_op) narrowable[source] = false;
      share[source] +=
          static_cast<double>(node.type.elements()) / static_cast<double>(graph.node(input).type.elements());
    }
  for (const auto& [name, id] : graph.outputs()) narrowable[static_cast<std::size_t>(id)] = false;
  for (std::size_t i = 0; i < share.size(); ++i) narrowable[i] = narrowable[i] && share[i] > 0 && share[i] < 0.9;
  return narrowable;
}

}  // namespace

void narrow(Graph& graph) {
  const std::vector<bool> narrowable = find_narrowable(graph);
  rewrite(graph, [&](Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    const Node* source = node.op == &ops::slice_op ? &rewritten.node(inputs[0].id) : nullptr;
    if (!source || !narrowable[static_cast<std::size_t>(node.inputs[0])] || source->op != &ops::matmul_op)
      return rewritten.add(*node.op, inputs, node.attributes);
    // Rows of the product are rows of its first operand, columns are columns of the second.
    const bool columns = node.attributes.integer("axis") == 1;
    const bool transposed = source->attributes.integer(columns ? "transpose_b" : "transpose_a") != 0;
    std::vector<Tensor> operands{{&rewritten, source->inputs[0]}, {&rewritten, source->inputs[1]}};
    Tensor& cut = operands[columns ? 1 : 0];
    cut = ops::slice(cut, columns != transposed, node.attributes.integer("begin"), node.attributes.integer("length"));
    return rewritten.add(ops::matmul_op, operands, source->attributes);
  });
  dce(graph);
}

}  // namespace gan::passes
