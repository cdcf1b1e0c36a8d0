#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op cast_op{
    .name = "cast",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) -> graph::TensorType {
      const std::string& dtype = attributes.text("dtype");
      if (dtype != "f32" && dtype != "bf16") base::fail_usage("{} given, f32 or bf16 expected", dtype);
      return {dtype == "f32" ? DType::f32 : DType::bf16, inputs[0].shape};
    },
    .derivative = [](const graph::Node&, Tensor, Tensor gradient) -> Gradients { return {gradient}; },
    .scalar = [](double a, double, double) -> double { return a; },
    .instruction = graph::ElementwiseOp::copy,
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (inputs[0].dtype() == node.type.dtype) return inputs[0];
      return std::nullopt;
    },
};

Tensor cast(Tensor x, DType dtype) { return x.graph->add(cast_op, {x}, {{"dtype", std::string(name_of(dtype))}}); }

}  // namespace gan::ops
