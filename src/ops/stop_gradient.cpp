#include "ops/support.h"

namespace gan::ops {

extern const graph::Op stop_gradient_op{
    .name = "stop_gradient",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes&) { return inputs[0]; },
    .view = [](const graph::Node&) -> std::int64_t { return 0; },
    // Passes run after differentiation, when the op has done its work.
    .fold = [](const graph::Node&, std::span<const Tensor> inputs) -> std::optional<Tensor> { return inputs[0]; },
};

Tensor stop_gradient(Tensor x) { return x.graph->add(stop_gradient_op, {x}); }

}  // namespace gan::ops
