#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Tensor;

void rewrite(const Graph& graph, Graph& to, const Replace& replace) {
  std::vector<Tensor> mapped;
  mapped.reserve(graph.nodes().size());
  for (const Node& node : graph.nodes()) {
    if (!node.op) {
      mapped.push_back(to.rounded_input(node.name, node.type, node.rounded_from));
      continue;
    }
    std::vector<Tensor> inputs;
    for (graph::NodeId input : node.inputs) inputs.push_back(mapped[static_cast<std::size_t>(input)]);
    mapped.push_back(replace(to, node, inputs));
  }
  for (const auto& [name, id] : graph.outputs()) to.output(name, mapped[static_cast<std::size_t>(id)]);
}

Node with_inputs(const Node& node, const std::vector<Tensor>& inputs) {
  Node copy = node;
  for (std::size_t i = 0; i < inputs.size(); ++i) copy.inputs[i] = inputs[i].id;
  return copy;
}

void rewrite(Graph& graph, const Replace& replace) {
  Graph rewritten;
  rewrite(graph, rewritten, replace);
  graph.swap(rewritten);
}

}  // namespace gan::passes
