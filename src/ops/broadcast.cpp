#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op broadcast_op{
    .name = "broadcast",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) -> graph::TensorType {
      expect_real(inputs[0], "the tensor");
      const Shape& shape = attributes.integers("shape");
      if (graph::broadcast_shape(inputs[0].shape, shape) != shape)
        base::fail_usage("{} does not broadcast to {}", to_string(inputs[0]), to_string(shape));
      return {DType::f32, shape};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {sum_to(gradient, input(node, 0, result).shape())};
    },
    .scalar = [](double a, double, double) -> double { return a; },
    .instruction = graph::ElementwiseOp::copy,
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (const auto value = constant_value(inputs[0])) return constant(*inputs[0].graph, *value, node.type.shape);
      if (inputs[0].type() == node.type) return inputs[0];
      return std::nullopt;
    },
};

Tensor broadcast(Tensor x, const Shape& shape) {
  return x.shape() == shape ? x : x.graph->add(broadcast_op, {x}, {{"shape", shape}});
}

}  // namespace gan::ops
