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
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (const auto simpler = fold_binary(node, inputs, 1.0, true)) return simpler;
      if (constant_value(inputs[0]) != 0.0 && constant_value(inputs[1]) != 0.0) return std::nullopt;
      return constant(*inputs[0].graph, 0.0, node.type.shape);
    },
};

Tensor mul(Tensor a, Tensor b) { return a.graph->add(mul_op, {a, b}); }

}  // namespace gan::ops
