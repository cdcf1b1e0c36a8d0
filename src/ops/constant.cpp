#include <algorithm>

#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

extern const graph::Op constant_op;
const graph::Op constant_op{
    .name = "constant",
    .inputs = 0,
    .infer = [](std::span<const graph::TensorType>, const graph::Attributes& attributes) -> graph::TensorType {
      return {DType::f32, attributes.integers("shape")};
    },
    .reference =
        [](const graph::ReferenceCall& call) {
          std::fill(call.dst.begin(), call.dst.end(), call.node.attributes.real("value"));
        },
    // No kernel: elementwise kernels take constants as immediate values, others read memory filled once.
};

Tensor constant(Graph& graph, double value, const Shape& shape) {
  return graph.add(constant_op, {}, {{"value", value}, {"shape", shape}});
}

}  // namespace gan::ops
