#include <map>

#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Tensor;

void carry(Graph& graph) {
  std::map<std::string, Tensor> carried;  // rounded states of the target, by the state's name
  rewrite(graph, [&](Graph& target, const Node& node, const std::vector<Tensor>& inputs) {
    const std::string state = inputs.empty() ? "" : target.node(inputs[0].id).name;
    if (node.op->name != "cast" || node.type.dtype != graph::DType::bf16 || state.empty() ||
        !graph.outputs().count(state))
      return target.add(*node.op, inputs, node.attributes);
    if (!carried.count(state)) carried[state] = target.input(state + std::string(graph::kRounded), node.type);
    return carried[state];
  });
  for (const auto& [state, rounded] : carried) {
    const Tensor next{&graph, graph.outputs().at(state)};
    graph.output(state + std::string(graph::kRounded),
                 graph.add(graph::find_op("cast"), {next}, {{"dtype", std::string("bf16")}}));
  }
}

}  // namespace gan::passes
