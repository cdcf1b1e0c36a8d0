#include "autodiff/gradient.h"

#include "base/error.h"
#include "ops/ops.h"

namespace gan::autodiff {

using graph::Graph;
using graph::Node;
using graph::NodeId;
using graph::Tensor;

namespace {

/// For each node up to `last`, whether it depends on one of `wrt`.
std::vector<bool> find_dependents(const Graph& graph, const std::vector<Tensor>& wrt, NodeId last) {
  std::vector<bool> depends(static_cast<std::size_t>(last) + 1, false);
  for (const Tensor& tensor : wrt)
    if (tensor.id <= last) depends[static_cast<std::size_t>(tensor.id)] = true;
  for (NodeId id = 0; id <= last; ++id) {
    const Node& node = graph.node(id);
    if (!node.op || !node.op->derivative) continue;
    for (NodeId input : node.inputs)
      if (depends[static_cast<std::size_t>(input)]) depends[static_cast<std::size_t>(id)] = true;
  }
  return depends;
}

}  // namespace

std::vector<Tensor> gradient(Tensor loss, const std::vector<Tensor>& wrt) {
  Graph& graph = *loss.graph;
  if (loss.elements() != 1) base::fail_usage("gradient: the loss is {}, not one number", to_string(loss.type()));
  const std::vector<bool> depends = find_dependents(graph, wrt, loss.id);
  std::vector<std::optional<Tensor>> adjoints(depends.size());
  adjoints.back() = ops::constant(graph, 1.0, loss.shape());

  for (NodeId id = loss.id; id >= 0; --id) {
    const auto index = static_cast<std::size_t>(id);
    const Node& node = graph.node(id);
    if (!adjoints[index] || !depends[index] || !node.op || !node.op->derivative) continue;
    const auto contributions = node.op->derivative(node, {&graph, id}, *adjoints[index]);
    for (std::size_t i = 0; i < node.inputs.size(); ++i) {
      const auto input = static_cast<std::size_t>(node.inputs[i]);
      if (!contributions[i] || !depends[input]) continue;
      adjoints[input] = adjoints[input] ? ops::add(*adjoints[input], *contributions[i]) : *contributions[i];
    }
  }

  std::vector<Tensor> gradients;
  for (const Tensor& tensor : wrt) {
    const auto index = static_cast<std::size_t>(tensor.id);
    const bool reached = tensor.id <= loss.id && adjoints[index];
    gradients.push_back(reached ? *adjoints[index] : ops::constant(graph, 0.0, tensor.shape()));
  }
  return gradients;
}

}  // namespace gan::autodiff
