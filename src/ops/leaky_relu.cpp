#include "ops/support.h"

namespace gan::ops {

extern const graph::Op leaky_relu_op;
const graph::Op leaky_relu_op{
    .name = "leaky_relu",
    .inputs = 1,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      // In terms of the result, so that a fused contraction need not store its argument.
      return {gradient * leaky_step(result, node.attributes.real("alpha"))};
    },
    .scalar = [](double a, double, double alpha) -> double { return a > 0 ? a : alpha * a; },
    .instruction = graph::ElementwiseOp::leaky_relu,
};

Tensor leaky_relu(Tensor x, double slope) { return x.graph->add(leaky_relu_op, {x}, {{"alpha", slope}}); }

}  // namespace gan::ops
