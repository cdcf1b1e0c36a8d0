#include <map>

#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Tensor;

namespace {
const std::string kRounded = ".bf16";  // suffix of the state's name
}

void carry(Graph& graph) {
  std::map<std::string, Tensor> carried;  // bf16 inputs of the rewritten graph by the name of their state
  rewrite(graph, [&](Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    const std::string state = inputs.empty() ? "" : rewritten.node(inputs[0].id).name;
    if (node.op != &ops::cast_op || node.type.dtype != graph::DType::bf16 || state.empty() ||
        !graph.outputs().count(state))
      return rewritten.add(*node.op, inputs, node.attributes);
    if (!carried.count(state)) carried[state] = rewritten.rounded_input(state + kRounded, node.type, state);
    return carried[state];
  });
  for (const auto& [state, rounded] : carried) {
    const Tensor next{&graph, graph.outputs().at(state)};
    graph.output(state + kRounded, ops::cast(next, graph::DType::bf16));
  }
}

}  // namespace gan::passes
