#include "ops/support.h"

namespace gan::ops {

extern const graph::Op square_op{
    .name = "square",
    .inputs = 1,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gradient * input(node, 0, result) * 2.0};
    },
    .scalar = [](double a, double, double) -> double { return a * a; },
    .instruction = graph::ElementwiseOp::square,
};

Tensor square(Tensor x) { return x.graph->add(square_op, {x}); }

}  // namespace gan::ops
