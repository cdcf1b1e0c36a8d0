#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "the values");
  expect_rank(inputs[1], 1, "the index");
  if (inputs[0].dtype != DType::f32 || inputs[1].dtype != DType::i32 || inputs[0].shape[0] != inputs[1].shape[0])
    base::fail_usage("{} scattered by {}: f32 [N, D] by i32 [N] expected", to_string(inputs[0]), to_string(inputs[1]));
  return {DType::f32, {attributes.integer("rows"), inputs[0].shape[1]}};
}

void lower(runtime::Lowering& lowering) {
  const auto* values = lowering.src<float>(0);
  const auto* index = lowering.src<std::int32_t>(1);
  auto* dst = lowering.dst<float>();
  const std::int64_t count = lowering.src_shape(0)[0], width = lowering.src_shape(0)[1],
                     rows = lowering.dst_type().shape[0];
  // On one thread and in order: the sums must not depend on timing.
  lowering.emit(static_cast<double>(count * width), [=] {
    std::fill_n(dst, rows * width, 0.0f);
    for (std::int64_t i = 0; i < count; ++i) {
      if (index[i] < 0 || index[i] >= rows)
        base::fail_run("scatter_add: index {} of {}", index[i], base::counted(rows, "row"));
      for (std::int64_t j = 0; j < width; ++j) dst[index[i] * width + j] += values[i * width + j];
    }
  });
}

void reference(const graph::ReferenceCall& call) {
  const auto width = static_cast<std::size_t>(call.types[0].shape[1]);
  std::fill(call.dst.begin(), call.dst.end(), 0.0);
  for (std::size_t i = 0; i < call.src[0].size(); ++i)
    call.dst[static_cast<std::size_t>(call.src[1][i / width]) * width + i % width] += call.src[0][i];
}

}  // namespace

extern const graph::Op scatter_add_op;
const graph::Op scatter_add_op{
    .name = "scatter_add",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gather(gradient, input(node, 1, result)), std::nullopt};
    },
    .reference = reference,
    .lower = lower,
};

Tensor scatter_add(Tensor values, Tensor index, std::int64_t rows) {
  return values.graph->add(scatter_add_op, {values, index}, {{"rows", rows}});
}

}  // namespace gan::ops
