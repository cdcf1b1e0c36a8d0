#include "base/error.h"
#include "ops/support.h"

// Shifts each image of a batch by whole pixels. Linear in the images; the transpose shifts the opposite way.
namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 4, "the images");
  if (inputs[0].dtype != DType::f32 || inputs[1] != graph::TensorType{DType::f32, {inputs[0].shape[0], 2}})
    base::fail_usage("{} moved by {}: f32 [N, C, H, W] by f32 [N, 2] expected", to_string(inputs[0]),
                     to_string(inputs[1]));
  if (attributes.integer("reach_y") < 0 || attributes.integer("reach_x") < 0)
    base::fail_usage("images moved by up to {} and {} pixels", attributes.integer("reach_y"),
                     attributes.integer("reach_x"));
  return inputs[0];
}

}  // namespace

extern const graph::Op shift_images_op{
    .name = "shift_images",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const graph::Attributes& a = node.attributes;
      const graph::Attributes back{
          {"reach_y", a.integer("reach_y")}, {"reach_x", a.integer("reach_x")}, {"sign", -a.integer("sign")}};
      return {gradient.graph->add(*node.op, {gradient, input(node, 1, result)}, back), std::nullopt};
    },
    .describe = [](const graph::Graph&, const graph::Node& node) -> graph::Spec {
      return graph::ShiftImages{.images = node.type.shape,
                                .reach_y = node.attributes.integer("reach_y"),
                                .reach_x = node.attributes.integer("reach_x"),
                                .sign = node.attributes.integer("sign")};
    },
};

Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x) {
  return x.graph->add(shift_images_op, {x, u}, {{"reach_y", reach_y}, {"reach_x", reach_x}, {"sign", std::int64_t{1}}});
}

}  // namespace gan::ops
