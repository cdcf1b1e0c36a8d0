#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Tensor;

void rewrite(const Graph& graph, Graph& target, const Replace& replace) {
  std::vector<Tensor> mapped;
  mapped.reserve(graph.nodes().size());
  for (const Node& node : graph.nodes()) {
    if (!node.op) {
      mapped.push_back(target.input(node.name, node.type));
      continue;
    }
    std::vector<Tensor> inputs;
    for (graph::NodeId input : node.inputs) inputs.push_back(mapped[static_cast<std::size_t>(input)]);
    mapped.push_back(replace(target, node, inputs));
  }
  for (const auto& [name, id] : graph.outputs()) target.output(name, mapped[static_cast<std::size_t>(id)]);
}

void rewrite(Graph& graph, const Replace& replace) {
  Graph target;
  rewrite(graph, target, replace);
  graph.swap(target);
}

}  // namespace gan::passes
