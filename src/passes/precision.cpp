#include <algorithm>
#include <map>

#include "passes/pass.h"

namespace gan::passes {

using graph::DType;
using graph::Graph;
using graph::Node;
using graph::Tensor;

namespace {

/// Products with a vector are bound by memory and include the power iteration of spectral norm: they stay f32.
bool is_matrix_product(const Node& node, const std::vector<Tensor>& inputs) {
  if (!node.op->contraction) return false;
  const auto vector_like = [](const graph::Shape& shape) {
    return shape.size() == 2 && std::min(shape[0], shape[1]) == 1;
  };
  return !vector_like(node.type.shape) && !vector_like(inputs[0].shape()) && !vector_like(inputs[1].shape());
}

}  // namespace

void precision(Graph& graph) {
  // Tensors of the target that have a rounded copy; ops that read only the sign read the copy, so that the full
  // tensor need not be stored.
  std::map<graph::NodeId, Tensor> rounded;
  const auto round = [&](Graph& target, Tensor tensor) {
    if (tensor.dtype() != DType::f32) return tensor;
    const auto found = rounded.find(tensor.id);
    if (found != rounded.end()) return found->second;
    return rounded[tensor.id] = target.add(graph::find_op("cast"), {tensor}, {{"dtype", std::string("bf16")}});
  };
  rewrite(graph, [&](Graph& target, const Node& node, std::vector<Tensor> inputs) {
    if (is_matrix_product(node, inputs))
      for (Tensor& input : inputs) input = round(target, input);
    else if (node.op->sign_only && rounded.count(inputs[0].id))
      inputs[0] = rounded[inputs[0].id];
    return target.add(*node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
