#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "the values");
  expect_rank(inputs[1], 1, "the index");
  if (inputs[0].dtype != DType::f32 || inputs[1].dtype != DType::i32 || inputs[0].shape[0] != inputs[1].shape[0])
    base::fail_usage("{} scattered by {}: f32 [N, D] by i32 [N] expected", to_string(inputs[0]), to_string(inputs[1]));
  return {DType::f32, {attributes.integer("rows"), inputs[0].shape[1]}};
}

}  // namespace

extern const graph::Op scatter_add_op{
    .name = "scatter_add",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gather(gradient, input(node, 1, result)), std::nullopt};
    },
    .describe = [](const graph::Graph& graph, const graph::Node& node) -> graph::Spec {
      const Shape& values = input_type(graph, node, 0).shape;
      return graph::ScatterAdd{.rows = node.type.shape[0], .width = values[1], .count = values[0]};
    },
};

Tensor scatter_add(Tensor values, Tensor index, std::int64_t rows) {
  return values.graph->add(scatter_add_op, {values, index}, {{"rows", rows}});
}

}  // namespace gan::ops
