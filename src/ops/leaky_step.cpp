#include "ops/support.h"

namespace gan::ops {

extern const graph::Op leaky_step_op{
    .name = "leaky_step",
    .inputs = 1,
    .scalar = [](double a, double, double alpha) -> double { return a > 0 ? 1 : alpha; },
    .instruction = graph::ElementwiseOp::leaky_step,
    .sign_only = true,
};

Tensor leaky_step(Tensor x, double slope) { return x.graph->add(leaky_step_op, {x}, {{"alpha", slope}}); }

}  // namespace gan::ops
