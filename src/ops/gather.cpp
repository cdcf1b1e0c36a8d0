#include <cstring>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes&) {
  expect_rank(inputs[0], 2, "the table");
  expect_rank(inputs[1], 1, "the index");
  if (inputs[0].dtype != DType::f32 || inputs[1].dtype != DType::i32)
    base::fail_usage("{} indexed by {}, f32 by i32 expected", to_string(inputs[0]), to_string(inputs[1]));
  return {DType::f32, {inputs[1].shape[0], inputs[0].shape[1]}};
}

void lower(runtime::Lowering& lowering) {
  const auto* table = lowering.src<float>(0);
  const auto* index = lowering.src<std::int32_t>(1);
  auto* dst = lowering.dst<float>();
  const std::int64_t rows = lowering.src_shape(0)[0], width = lowering.src_shape(0)[1],
                     count = lowering.src_shape(1)[0];
  lowering.emit(0, [=] {
    for (std::int64_t i = 0; i < count; ++i) {
      if (index[i] < 0 || index[i] >= rows)
        base::fail_run("gather: index {} of a table of {}", index[i], base::counted(rows, "row"));
      std::memcpy(dst + i * width, table + index[i] * width, static_cast<std::size_t>(width) * sizeof(float));
    }
  });
}

void reference(const graph::ReferenceCall& call) {
  const auto width = static_cast<std::size_t>(call.types[0].shape[1]);
  for (std::size_t i = 0; i < call.dst.size(); ++i)
    call.dst[i] = call.src[0][static_cast<std::size_t>(call.src[1][i / width]) * width + i % width];
}

}  // namespace

extern const graph::Op gather_op;
const graph::Op gather_op{
    .name = "gather",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {scatter_add(gradient, input(node, 1, result), input(node, 0, result).dim(0)), std::nullopt};
    },
    .reference = reference,
    .lower = lower,
};

Tensor gather(Tensor table, Tensor index) { return table.graph->add(gather_op, {table, index}); }

}  // namespace gan::ops
