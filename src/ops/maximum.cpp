#include "ops/support.h"

namespace gan::ops {

extern const graph::Op maximum_op{
    .name = "maximum",
    .inputs = 2,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const Tensor a = input(node, 0, result), b = input(node, 1, result);
      const Tensor first = step(a - b);
      return {sum_to(gradient * first, a.shape()), sum_to(gradient * (1.0 - first), b.shape())};
    },
    .scalar = [](double a, double b, double) -> double { return a > b || a != a ? a : b; },
    .instruction = graph::ElementwiseOp::maximum,
};

Tensor maximum(Tensor a, Tensor b) { return a.graph->add(maximum_op, {a, b}); }

}  // namespace gan::ops
