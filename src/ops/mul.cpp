#include "ops/support.h"

namespace gan::ops {

extern const graph::Op mul_op{
    .name = "mul",
    .inputs = 2,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const Tensor a = input(node, 0, result), b = input(node, 1, result);
      return {sum_to(gradient * b, a.shape()), sum_to(gradient * a, b.shape())};
    },
    .scalar = [](double a, double b, double) -> double { return a * b; },
    .instruction = graph::ElementwiseOp::mul,
    .fold = [](const graph::Node&, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      const auto a = constant_value(inputs[0]), b = constant_value(inputs[1]);
      const Shape shape = graph::broadcast_shape(inputs[0].shape(), inputs[1].shape());
      if (a && b) return constant(*inputs[0].graph, *a * *b, shape);
      if (a == 0.0 || b == 0.0) return constant(*inputs[0].graph, 0.0, shape);
      if (b == 1.0 && inputs[0].shape() == shape && inputs[0].dtype() == DType::f32) return inputs[0];
      if (a == 1.0 && inputs[1].shape() == shape && inputs[1].dtype() == DType::f32) return inputs[1];
      return std::nullopt;
    },
};

Tensor mul(Tensor a, Tensor b) { return a.graph->add(mul_op, {a, b}); }

}  // namespace gan::ops
