#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes&) {
  expect_rank(inputs[0], 2, "the table");
  expect_rank(inputs[1], 1, "the index");
  if (inputs[0].dtype == DType::bf16 || inputs[1].dtype != DType::i32)
    base::fail_usage("{} indexed by {}, f32 or i32 by i32 expected", to_string(inputs[0]), to_string(inputs[1]));
  return {inputs[0].dtype, {inputs[1].shape[0], inputs[0].shape[1]}};
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  const Shape& table = input_type(graph, node, 0).shape;
  return graph::Gather{.rows = table[0], .width = table[1], .count = node.type.shape[0], .dtype = node.type.dtype};
}

}  // namespace

extern const graph::Op gather_op{
    .name = "gather",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {scatter_add(gradient, input(node, 1, result), input(node, 0, result).dim(0)), std::nullopt};
    },
    .describe = describe,
};

Tensor gather(Tensor table, Tensor index) { return table.graph->add(gather_op, {table, index}); }

}  // namespace gan::ops
