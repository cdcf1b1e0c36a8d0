#include "passes/pass.h"

namespace gan::passes {

void fold(graph::Graph& graph) {
  rewrite(graph, [](graph::Graph& rewritten, const graph::Node& node, const std::vector<graph::Tensor>& inputs) {
    if (node.op->fold)
      if (const auto simpler = node.op->fold(with_inputs(node, inputs), inputs)) return *simpler;
    return rewritten.add(*node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
