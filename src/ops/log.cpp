#include <cmath>

#include "ops/support.h"

namespace gan::ops {

extern const graph::Op log_op{
    .name = "log",
    .inputs = 1,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gradient / input(node, 0, result)};
    },
    .scalar = [](double a, double, double) -> double { return std::log(a); },
    .instruction = graph::ElementwiseOp::log,
};

Tensor log(Tensor x) { return x.graph->add(log_op, {x}); }

}  // namespace gan::ops
