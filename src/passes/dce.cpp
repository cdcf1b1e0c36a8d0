#include "passes/pass.h"

namespace gan::passes {

void dce(graph::Graph& graph) {
  std::vector<bool> live(graph.nodes().size(), false);
  for (const auto& [name, id] : graph.outputs()) live[static_cast<std::size_t>(id)] = true;
  for (std::size_t id = live.size(); id-- > 0;)
    if (live[id])
      for (graph::NodeId input : graph.nodes()[id].inputs) live[static_cast<std::size_t>(input)] = true;
  rewrite(graph, [&](graph::Graph& rewritten, const graph::Node& node, const std::vector<graph::Tensor>& inputs) {
    // Only dead nodes read a dead node, so an empty tensor can replace it.
    return live[static_cast<std::size_t>(node.id)] ? rewritten.add(*node.op, inputs, node.attributes) : graph::Tensor{};
  });
}

}  // namespace gan::passes
