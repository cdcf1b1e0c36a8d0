#include "ops/support.h"

namespace gan::ops {

extern const graph::Op add_op{
    .name = "add",
    .inputs = 2,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {sum_to(gradient, input(node, 0, result).shape()), sum_to(gradient, input(node, 1, result).shape())};
    },
    .scalar = [](double a, double b, double) -> double { return a + b; },
    .instruction = graph::ElementwiseOp::add,
    .fold = [](const graph::Node& node,
               std::span<const Tensor> inputs) { return fold_binary(node, inputs, 0.0, true); },
};

Tensor add(Tensor a, Tensor b) { return a.graph->add(add_op, {a, b}); }

}  // namespace gan::ops
