#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op exp_op{
    .name = "exp",
    .inputs = 1,
    .derivative = [](const graph::Node&, Tensor result, Tensor gradient) -> Gradients { return {gradient * result}; },
    .scalar = [](double a, double, double) -> double { return std::exp(a); },
    .instruction = graph::ElementwiseOp::exp,
};

Tensor exp(Tensor x) { return x.graph->add(exp_op, {x}); }

}  // namespace gan::ops
