#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op tanh_op;
const graph::Op tanh_op{
    .name = "tanh",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      // In terms of the result, so that a fused contraction need not store its argument.
      return {gradient * (1.0 - square(result))};
    },
    .scalar = [](double a, double, double) -> double { return std::tanh(a); },
    .instruction = graph::ElementwiseOp::tanh,
};

Tensor tanh(Tensor x) { return x.graph->add(tanh_op, {x}); }

}  // namespace gan::ops
