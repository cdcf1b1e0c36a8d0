#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 1, "the labels");
  if (inputs[0].dtype != DType::i32 || attributes.integer("classes") < 1)
    base::fail_usage("{} in {}: i32 labels expected", to_string(inputs[0]),
                     base::counted(attributes.integer("classes"), "class", "classes"));
  return {DType::f32, {inputs[0].shape[0], attributes.integer("classes")}};
}

}  // namespace

extern const graph::Op one_hot_op{
    .name = "one_hot",
    .inputs = 1,
    .infer = infer,
    .describe = [](const graph::Graph&, const graph::Node& node) -> graph::Spec {
      return graph::OneHot{.count = node.type.shape[0], .classes = node.type.shape[1]};
    },
};

Tensor one_hot(Tensor labels, std::int64_t classes) {
  return labels.graph->add(one_hot_op, {labels}, {{"classes", classes}});
}

}  // namespace gan::ops
