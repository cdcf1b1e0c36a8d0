#include <fmt/format.h>

#include <unordered_map>

#include "passes/pass.h"

namespace gan::passes {

void cse(graph::Graph& graph) {
  std::unordered_map<std::string, graph::Tensor> seen;
  rewrite(graph, [&](graph::Graph& target, const graph::Node& node, const std::vector<graph::Tensor>& inputs) {
    std::string key(node.op->name);
    for (const graph::Tensor& input : inputs) key += fmt::format(" {}", input.id);
    key += node.attributes.to_string();
    const auto found = seen.find(key);
    if (found != seen.end()) return found->second;
    return seen[key] = target.add(*node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
