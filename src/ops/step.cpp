#include "ops/support.h"

namespace gan::ops {

extern const graph::Op step_op{
    .name = "step",
    .inputs = 1,
    .scalar = [](double a, double, double) -> double { return a > 0 ? 1 : 0; },
    .instruction = graph::ElementwiseOp::step,
    .sign_only = true,
};

Tensor step(Tensor x) { return x.graph->add(step_op, {x}); }

}  // namespace gan::ops
