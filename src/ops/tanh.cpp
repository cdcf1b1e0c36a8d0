#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op tanh_op{
    .name = "tanh",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      // Reads the result, not the argument, so that a contraction fused with this op stores one tensor only.
      return {gradient * (1.0 - square(result))};
    },
    .scalar = [](double a, double, double) -> double { return std::tanh(a); },
    .instruction = graph::ElementwiseOp::tanh,
};

Tensor tanh(Tensor x) { return x.graph->add(tanh_op, {x}); }

}  // namespace gan::ops
