#include "ops/support.h"

namespace gan::ops {

extern const graph::Op sub_op{
    .name = "sub",
    .inputs = 2,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {sum_to(gradient, input(node, 0, result).shape()),
              sum_to(gradient * -1.0, input(node, 1, result).shape())};
    },
    .scalar = [](double a, double b, double) -> double { return a - b; },
    .instruction = graph::ElementwiseOp::sub,
    .fold = [](const graph::Node&, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      const auto a = constant_value(inputs[0]), b = constant_value(inputs[1]);
      const Shape shape = graph::broadcast_shape(inputs[0].shape(), inputs[1].shape());
      if (a && b) return constant(*inputs[0].graph, *a - *b, shape);
      if (b == 0.0 && inputs[0].shape() == shape && inputs[0].dtype() == DType::f32) return inputs[0];
      return std::nullopt;
    },
};

Tensor sub(Tensor a, Tensor b) { return a.graph->add(sub_op, {a, b}); }

}  // namespace gan::ops
