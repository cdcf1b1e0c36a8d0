#include "ops/support.h"

namespace gan::ops {

extern const graph::Op leaky_relu_op{
    .name = "leaky_relu",
    .inputs = 1,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      // Reads the result, not the argument, so that a contraction fused with this op stores one tensor only.
      return {gradient * leaky_step(result, node.attributes.real("alpha"))};
    },
    .scalar = [](double a, double, double alpha) -> double { return a > 0 ? a : alpha * a; },
    .instruction = graph::ElementwiseOp::leaky_relu,
};

Tensor leaky_relu(Tensor x, double slope) { return x.graph->add(leaky_relu_op, {x}, {{"alpha", slope}}); }

}  // namespace gan::ops
