#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "u");
  const std::int64_t height = attributes.integer("height"), width = attributes.integer("width");
  if (inputs[0].dtype != DType::f32 || inputs[0].shape[1] != 2 || attributes.integer("box_height") > height ||
      attributes.integer("box_width") > width || attributes.integer("box_height") < 0 ||
      attributes.integer("box_width") < 0)
    base::fail_usage("boxes of {} x {}, u {}, images of {} x {}: u f32 [N, 2] and smaller boxes expected",
                     attributes.integer("box_height"), attributes.integer("box_width"), to_string(inputs[0]), height,
                     width);
  return {DType::f32, {inputs[0].shape[0], 1, height, width}};
}

}  // namespace

extern const graph::Op cutout_mask_op{
    .name = "cutout_mask",
    .inputs = 1,
    .infer = infer,
    .describe = [](const graph::Graph& graph, const graph::Node& node) -> graph::Spec {
      return graph::CutoutMask{.count = input_type(graph, node, 0).shape[0],
                               .height = node.attributes.integer("height"),
                               .width = node.attributes.integer("width"),
                               .box_height = node.attributes.integer("box_height"),
                               .box_width = node.attributes.integer("box_width")};
    },
};

Tensor cutout_mask(Tensor u, std::int64_t height, std::int64_t width, std::int64_t box_height, std::int64_t box_width) {
  return u.graph->add(cutout_mask_op, {u},
                      {{"height", height}, {"width", width}, {"box_height", box_height}, {"box_width", box_width}});
}

}  // namespace gan::ops
