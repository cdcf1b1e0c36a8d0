#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 1, "the labels");
  if (inputs[0].dtype != DType::i32 || attributes.integer("classes") < 1)
    base::fail_usage("{} in {}: i32 labels expected", to_string(inputs[0]),
                     base::counted(attributes.integer("classes"), "class", "classes"));
  return {DType::f32, {inputs[0].shape[0], attributes.integer("classes")}};
}

void lower(runtime::Lowering& lowering) {
  const auto* labels = lowering.src<std::int32_t>(0);
  auto* dst = lowering.dst<float>();
  const std::int64_t count = lowering.dst_type().shape[0], classes = lowering.dst_type().shape[1];
  lowering.emit(0, [=] {
    std::fill_n(dst, count * classes, 0.0f);
    for (std::int64_t i = 0; i < count; ++i) {
      if (labels[i] < 0 || labels[i] >= classes)
        base::fail_run("one_hot: label {} of {}", labels[i], base::counted(classes, "class", "classes"));
      dst[i * classes + labels[i]] = 1.0f;
    }
  });
}

void reference(const graph::ReferenceCall& call) {
  const auto classes = static_cast<std::size_t>(call.node.type.shape[1]);
  std::fill(call.dst.begin(), call.dst.end(), 0.0);
  for (std::size_t i = 0; i < call.src[0].size(); ++i)
    call.dst[i * classes + static_cast<std::size_t>(call.src[0][i])] = 1.0;
}

}  // namespace

extern const graph::Op one_hot_op;
const graph::Op one_hot_op{
    .name = "one_hot",
    .inputs = 1,
    .infer = infer,
    .reference = reference,
    .lower = lower,
};

Tensor one_hot(Tensor labels, std::int64_t classes) {
  return labels.graph->add(one_hot_op, {labels}, {{"classes", classes}});
}

}  // namespace gan::ops
