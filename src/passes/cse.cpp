#include <fmt/format.h>

#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Tensor;

Tensor Unique::add(Graph& rewritten, const graph::Op& op, const std::vector<Tensor>& inputs,
                   const graph::Attributes& attributes) {
  std::string key(op.name);
  for (const Tensor& input : inputs) key += fmt::format(" {}", input.id);
  key += attributes.to_string();
  const auto found = seen_.find(key);
  if (found != seen_.end()) return found->second;
  return seen_[key] = rewritten.add(op, inputs, attributes);
}

void cse(Graph& graph) {
  Unique unique;
  rewrite(graph, [&](Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    return unique.add(rewritten, *node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
