#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op row_maximum_op{
    .name = "row_maximum",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes&) -> graph::TensorType {
      expect_rank(inputs[0], 2, "the argument");
      if (inputs[0].dtype != DType::f32) base::fail_usage("{} given, f32 expected", to_string(inputs[0]));
      return {DType::f32, {inputs[0].shape[0], 1}};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gradient * (1.0 - step(result - input(node, 0, result)))};
    },
    .describe = [](const graph::Graph& graph, const graph::Node& node) -> graph::Spec {
      return graph::Reduce{graph::Reduce::Kind::maximum, input_type(graph, node, 0).shape, node.type.shape};
    },
};

Tensor row_maximum(Tensor x) { return x.graph->add(row_maximum_op, {x}); }

}  // namespace gan::ops
