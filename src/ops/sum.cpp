#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op sum_op{
    .name = "sum",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) -> graph::TensorType {
      const Shape& shape = attributes.integers("shape");
      if (inputs[0].dtype != DType::f32) base::fail_usage("{} given, f32 expected", to_string(inputs[0]));
      if (graph::broadcast_shape(shape, inputs[0].shape) != inputs[0].shape)
        base::fail_usage("{} cannot be summed to {}", to_string(inputs[0]), to_string(shape));
      return {DType::f32, shape};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {broadcast(gradient, input(node, 0, result).shape())};
    },
    .describe = [](const graph::Graph& graph, const graph::Node& node) -> graph::Spec {
      return graph::Reduce{graph::Reduce::Kind::sum, input_type(graph, node, 0).shape, node.type.shape};
    },
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      const auto value = constant_value(inputs[0]);
      if (inputs[0].type() == node.type) return inputs[0];
      if (!value) return std::nullopt;
      const double times = static_cast<double>(inputs[0].elements()) / static_cast<double>(node.type.elements());
      return constant(*inputs[0].graph, *value * times, node.type.shape);
    },
};

Tensor sum_to(Tensor x, const Shape& shape) {
  return x.shape() == shape ? x : x.graph->add(sum_op, {x}, {{"shape", shape}});
}

Tensor sum(Tensor x) { return sum_to(x, {}); }

Tensor mean(Tensor x) { return sum(x) * (1.0 / static_cast<double>(x.elements())); }

}  // namespace gan::ops
