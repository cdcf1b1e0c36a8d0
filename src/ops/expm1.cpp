#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op expm1_op{
    .name = "expm1",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients {
      return {gradient * (result + 1.0)};
    },
    .scalar = [](double a, double, double) -> double { return std::expm1(a); },
    .instruction = graph::ElementwiseOp::expm1,
};

Tensor expm1(Tensor x) { return x.graph->add(expm1_op, {x}); }

}  // namespace gan::ops
