#include "graph/schedule.h"

#include <fmt/format.h>

namespace gan::graph {

std::string dump(const Graph& graph, const Schedule& schedule) {
  std::string text;
  for (const Node& node : graph.nodes())
    if (!node.op || node.is_view() || node.is_constant()) text += to_string(node) + "\n";
  for (std::size_t i = 0; i < schedule.groups.size(); ++i) {
    text += fmt::format("kernel {}\n", i);
    for (NodeId id : schedule.groups[i].nodes) text += "  " + to_string(graph.node(id)) + "\n";
  }
  for (const auto& [name, id] : graph.outputs()) text += fmt::format("output \"{}\" = %{}\n", name, id);
  return text;
}

std::vector<int> count_uses(const Graph& graph) {
  std::vector<int> uses(graph.nodes().size(), 0);
  for (const Node& node : graph.nodes())
    for (NodeId input : node.inputs) ++uses[static_cast<std::size_t>(input)];
  for (const auto& [name, id] : graph.outputs()) ++uses[static_cast<std::size_t>(id)];
  return uses;
}

}  // namespace gan::graph
