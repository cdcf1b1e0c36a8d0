#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op sqrt_op{
    .name = "sqrt",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      return {gradient / result * 0.5};
    },
    .scalar = [](double a, double, double) -> double { return std::sqrt(a); },
    .instruction = graph::ElementwiseOp::sqrt,
};

Tensor sqrt(Tensor x) { return x.graph->add(sqrt_op, {x}); }

}  // namespace gan::ops
