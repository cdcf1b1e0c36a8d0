#include "passes/pass.h"

namespace gan::passes {

void fold(graph::Graph& graph) {
  rewrite(graph, [](graph::Graph& target, const graph::Node& node, const std::vector<graph::Tensor>& inputs) {
    graph::Node moved = node;  // with the numbers of the target graph, where the op's rule looks around
    for (std::size_t i = 0; i < inputs.size(); ++i) moved.inputs[i] = inputs[i].id;
    if (node.op->fold)
      if (const auto simpler = node.op->fold(moved, inputs)) return *simpler;
    return target.add(*node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
