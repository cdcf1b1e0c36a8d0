#include "ops/support.h"

namespace gan::ops {

extern const graph::Op constant_op{
    .name = "constant",
    .inputs = 0,
    .infer = [](std::span<const graph::TensorType>, const graph::Attributes& attributes) -> graph::TensorType {
      return {DType::f32, attributes.integers("shape")};
    },
    // No kernel: chains take constants as immediate values; for other kernels the program fills memory once.
};

Tensor constant(Graph& graph, double value, const Shape& shape) {
  return graph.add(constant_op, {}, {{"value", value}, {"shape", shape}});
}

}  // namespace gan::ops
