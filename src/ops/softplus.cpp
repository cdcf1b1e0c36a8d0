#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op softplus_op{
    .name = "softplus",
    .inputs = 1,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gradient * sigmoid(input(node, 0, result))};
    },
    .scalar = [](double a, double, double) -> double { return (a < 0 ? 0 : a) + std::log1p(std::exp(-std::abs(a))); },
    .instruction = graph::ElementwiseOp::softplus,
};

Tensor softplus(Tensor x) { return x.graph->add(softplus_op, {x}); }

}  // namespace gan::ops
