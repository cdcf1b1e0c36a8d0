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
    .fold = [](const graph::Node& node,
               std::span<const Tensor> inputs) { return fold_binary(node, inputs, 1.0, false); },
};

Tensor div(Tensor a, Tensor b) { return a.graph->add(div_op, {a, b}); }

}  // namespace gan::ops
