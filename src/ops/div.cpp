#include "ops/support.h"

namespace gan::ops {

extern const graph::Op div_op{
    .name = "div",
    .inputs = 2,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const Tensor a = input(node, 0, result), b = input(node, 1, result);
      const Tensor by_a = gradient / b;
      return {sum_to(by_a, a.shape()), sum_to(by_a * result * -1.0, b.shape())};
    },
    .scalar = [](double a, double b, double) -> double { return a / b; },
    .instruction = graph::ElementwiseOp::div,
    .fold = [](const graph::Node&, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      const auto a = constant_value(inputs[0]), b = constant_value(inputs[1]);
      const Shape shape = graph::broadcast_shape(inputs[0].shape(), inputs[1].shape());
      if (a && b) return constant(*inputs[0].graph, *a / *b, shape);
      if (b == 1.0 && inputs[0].shape() == shape && inputs[0].dtype() == DType::f32) return inputs[0];
      return std::nullopt;
    },
};

Tensor div(Tensor a, Tensor b) { return a.graph->add(div_op, {a, b}); }

}  // namespace gan::ops
