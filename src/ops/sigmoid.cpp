#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op sigmoid_op{
    .name = "sigmoid",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      // Reads the result, not the argument, so that a contraction fused with this op stores one tensor only.
      return {gradient * (result * (1.0 - result))};
    },
    .scalar = [](double a, double, double) -> double { return 1.0 / (1.0 + std::exp(-a)); },
    .instruction = graph::ElementwiseOp::sigmoid,
};

Tensor sigmoid(Tensor x) { return x.graph->add(sigmoid_op, {x}); }

}  // namespace gan::ops
