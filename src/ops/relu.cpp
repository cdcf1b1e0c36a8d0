#include "ops/support.h"

namespace gan::ops {

extern const graph::Op relu_op{
    .name = "relu",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      // Reads the result, not the argument, so that a contraction fused with this op stores one tensor only.
      return {gradient * step(result)};
    },
    .scalar = [](double a, double, double) -> double { return a < 0 ? 0 : a; },
    .instruction = graph::ElementwiseOp::relu,
};

Tensor relu(Tensor x) { return x.graph->add(relu_op, {x}); }

}  // namespace gan::ops
