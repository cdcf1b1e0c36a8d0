#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op reshape_op{
    .name = "reshape",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) -> graph::TensorType {
      const Shape& shape = attributes.integers("shape");
      if (graph::element_count(shape) != inputs[0].elements())
        base::fail_usage("{} cannot be reshaped to {}", to_string(inputs[0]), to_string(shape));
      return {inputs[0].dtype, shape};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {reshape(gradient, input(node, 0, result).shape())};
    },
    .moves_elements = true,
    .keeps_rows = [](const graph::Graph& graph,
                     const graph::Node& node) { return node.type.shape[0] == input_type(graph, node, 0).shape[0]; },
    .view = [](const graph::Node&) -> std::int64_t { return 0; },
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (inputs[0].type() == node.type) return inputs[0];
      const graph::Node& before = inputs[0].graph->node(inputs[0].id);
      if (before.op == node.op) return reshape(input(before, 0, inputs[0]), node.type.shape);
      return std::nullopt;
    },
};

Tensor reshape(Tensor x, const Shape& shape) {
  return x.shape() == shape ? x : x.graph->add(reshape_op, {x}, {{"shape", shape}});
}

}  // namespace gan::ops
