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
    .fold = [](const graph::Node& node,
               std::span<const Tensor> inputs) { return fold_binary(node, inputs, 0.0, false); },
};

Tensor sub(Tensor a, Tensor b) { return a.graph->add(sub_op, {a, b}); }

}  // namespace gan::ops
