#include <algorithm>
#include <functional>
#include <map>

#include "graph/schedule.h"
#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::DType;
using graph::Graph;
using graph::Node;
using graph::Tensor;

namespace {

bool is_vector(const Node& node) {
  const graph::Shape& shape = node.type.shape;
  return shape.size() == 2 && std::min(shape[0], shape[1]) == 1;
}

bool is_matrix_product(const Graph& graph, const Node& node) {
  return node.op && node.op->contraction && !is_vector(node) && !is_vector(graph.node(node.inputs[0])) &&
         !is_vector(graph.node(node.inputs[1]));
}

/// Contractions whose operands are rounded: products of matrices, and products of a vector with weights that have a
/// rounded copy anyway (the power iteration of spectral norm, which is memory bound). Other products with a vector stay
/// f32.
std::vector<bool> find_rounded(const Graph& graph) {
  std::vector<bool> rounded(graph.nodes().size(), false), weights(graph.nodes().size(), false);
  for (const Node& node : graph.nodes()) {
    if (!is_matrix_product(graph, node)) continue;
    rounded[static_cast<std::size_t>(node.id)] = true;
    for (const graph::NodeId input : node.inputs) weights[static_cast<std::size_t>(input)] = !graph.node(input).op;
  }
  for (const Node& node : graph.nodes())
    if (node.op && node.op->contraction && weights[static_cast<std::size_t>(node.inputs[1])])
      rounded[static_cast<std::size_t>(node.id)] = true;
  return rounded;
}

/// Gradients of weights sum over the rows of both operands. They are stored until the optimizer reads them.
bool is_weight_gradient(const Node& product) {
  return product.op == &ops::matmul_op && product.attributes.integer("transpose_a") != 0;
}

/// Whether this is a matrix product of bf16 operands, whose kernel can round its result to bf16 to halve the memory.
bool can_be_stored_rounded(const Graph& graph, Tensor product) {
  const Node& node = graph.node(product.id);
  return node.op == &ops::matmul_op && !is_vector(node) && graph.node(node.inputs[0]).type.dtype == DType::bf16;
}

/// True for nodes whose only readers are sums to a scalar, directly or through multiplications.
std::vector<bool> find_summed(const Graph& graph) {
  std::vector<int> others = graph::count_uses(graph);  // readers that are not such sums
  std::vector<bool> summed(others.size(), false);
  for (auto node = graph.nodes().rbegin(); node != graph.nodes().rend(); ++node) {
    const auto i = static_cast<std::size_t>(node->id);
    summed[i] = others[i] == 0;
    const bool adds = node->op == &ops::sum_op && (node->type.elements() == 1 || summed[i]);
    const bool multiplies = node->op == &ops::mul_op && summed[i];
    if (adds || multiplies)
      for (const graph::NodeId input : node->inputs) --others[static_cast<std::size_t>(input)];
  }
  return summed;
}

}  // namespace

void precision(Graph& graph) {
  const std::vector<bool> is_rounded = find_rounded(graph), summed = find_summed(graph);
  // Rounded copies of tensors of the rewritten graph. Ops that depend on the sign only read the copy, so that the f32
  // tensor need not be stored.
  std::map<graph::NodeId, Tensor> rounded;
  const std::function<Tensor(Graph&, Tensor)> round = [&](Graph& rewritten, Tensor tensor) {
    if (tensor.dtype() != DType::f32) return tensor;
    const auto found = rounded.find(tensor.id);
    if (found != rounded.end()) return found->second;
    const Node& made = rewritten.node(tensor.id);
    if (!(made.op && made.op->moves_elements)) return rounded[tensor.id] = ops::cast(tensor, DType::bf16);
    std::vector<Tensor> moved;
    for (const graph::NodeId input : made.inputs) moved.push_back(round(rewritten, {&rewritten, input}));
    return rounded[tensor.id] = rewritten.add(*made.op, moved, made.attributes);
  };
  const auto keep_rounded = [&](Graph& rewritten, Tensor tensor) {
    const Tensor stored = round(rewritten, tensor);
    const Tensor widened = ops::cast(stored, DType::f32);
    rounded[widened.id] = stored;
    return widened;
  };
  rewrite(graph, [&](Graph& rewritten, const Node& node, std::vector<Tensor> inputs) {
    if (is_rounded[static_cast<std::size_t>(node.id)]) {
      for (Tensor& input : inputs) input = round(rewritten, input);
      const Tensor product = rewritten.add(*node.op, inputs, node.attributes);
      return is_weight_gradient(node) ? keep_rounded(rewritten, product) : product;
    }
    if (node.op->moves_elements && inputs.size() == 1 && can_be_stored_rounded(rewritten, inputs[0]))
      return keep_rounded(rewritten, rewritten.add(*node.op, inputs, node.attributes));
    if (node.op == &ops::mul_op && summed[static_cast<std::size_t>(node.id)])
      for (Tensor& input : inputs) input = can_be_stored_rounded(rewritten, input) ? round(rewritten, input) : input;
    else if (node.op->sign_only && rounded.count(inputs[0].id))
      inputs[0] = rounded[inputs[0].id];
    return rewritten.add(*node.op, inputs, node.attributes);
  });
  dce(graph);  // f32 copies that bf16 copies have replaced
}

}  // namespace gan::passes
