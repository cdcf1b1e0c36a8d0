#pragma once

#include <optional>
#include <vector>

#include "graph/graph.h"
#include "ops/ops.h"

// Helpers of the op files.
namespace gan::ops {

using Gradients = std::vector<std::optional<Tensor>>;

/// Input `i` of a node, as a tensor of the graph of `like`.
inline Tensor input(const graph::Node& node, std::size_t i, Tensor like) { return {like.graph, node.inputs[i]}; }

/// The value of a `constant`, or nothing.
inline std::optional<double> constant_value(Tensor tensor) {
  const graph::Node& node = tensor.graph->node(tensor.id);
  return node.is_constant() ? std::optional(node.attributes.real("value")) : std::nullopt;
}

/// Type of input `i` of a node.
inline const graph::TensorType& input_type(const graph::Graph& graph, const graph::Node& node, std::size_t i) {
  return graph.node(node.inputs[i]).type;
}

/// Number of elements in the axes from `axis` on, and in those before it.
inline std::int64_t elements_from(const Shape& shape, std::int64_t axis) {
  return graph::element_count(Shape(shape.begin() + axis, shape.end()));
}
inline std::int64_t elements_before(const Shape& shape, std::int64_t axis) {
  return graph::element_count(Shape(shape.begin(), shape.begin() + axis));
}

/// Throws a usage error, in which `what` names the tensor, unless it has this many axes.
void expect_rank(const graph::TensorType& type, std::size_t rank, std::string_view what);
/// Throws a usage error, in which `what` names the tensor, unless it is f32 or bf16.
void expect_real(const graph::TensorType& type, std::string_view what);
/// Simplifies an elementwise op of two inputs: two constants to a constant, and b (if the op is commutative, also a)
/// equal to `neutral` to the other input.
std::optional<Tensor> fold_binary(const graph::Node& node, std::span<const Tensor> inputs, double neutral,
                                  bool commutative);

}  // namespace gan::ops
