#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

// Moves each image of a batch by whole pixels; linear in the images, and its own transpose with the directions turned.
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

/// What a number on [0, 1) stands for: each of -reach .. reach is as likely.
template <typename T>
std::int64_t pixels(T u, std::int64_t reach) {
  return static_cast<std::int64_t>(std::floor(u * static_cast<T>(2 * reach + 1))) - reach;
}

template <typename T>
void shift(const T* src, const T* u, T* dst, const Shape& shape, const graph::Attributes& attributes) {
  const std::int64_t C = shape[1], H = shape[2], W = shape[3], sign = attributes.integer("sign");
  std::fill_n(dst, graph::element_count(shape), T(0));
  for (std::int64_t n = 0; n < shape[0]; ++n) {
    const std::int64_t dy = sign * pixels(u[2 * n], attributes.integer("reach_y"));
    const std::int64_t dx = sign * pixels(u[2 * n + 1], attributes.integer("reach_x"));
    const std::int64_t width = W - std::abs(dx);
    if (width <= 0) continue;
    for (std::int64_t c = 0; c < C; ++c)
      for (std::int64_t y = std::max<std::int64_t>(0, dy); y < std::min(H, H + dy); ++y)
        std::copy_n(src + ((n * C + c) * H + y - dy) * W + std::max<std::int64_t>(0, -dx), width,
                    dst + ((n * C + c) * H + y) * W + std::max<std::int64_t>(0, dx));
  }
}

Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x, std::int64_t sign);

}  // namespace

extern const graph::Op shift_images_op;
const graph::Op shift_images_op{
    .name = "shift_images",
    .inputs = 2,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const graph::Attributes& how = node.attributes;
      return {shift_images(gradient, input(node, 1, result), how.integer("reach_y"), how.integer("reach_x"),
                           -how.integer("sign")),
              std::nullopt};
    },
    .reference =
        [](const graph::ReferenceCall& call) {
          shift(call.src[0].data(), call.src[1].data(), call.dst.data(), call.types[0].shape, call.node.attributes);
        },
    .lower =
        [](runtime::Lowering& lowering) {
          lowering.emit(0, [src = lowering.src<float>(0), u = lowering.src<float>(1), dst = lowering.dst<float>(),
                            shape = lowering.src_shape(0),
                            attributes = lowering.attributes()] { shift(src, u, dst, shape, attributes); });
        },
};

namespace {

Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x, std::int64_t sign) {
  return x.graph->add(shift_images_op, {x, u}, {{"reach_y", reach_y}, {"reach_x", reach_x}, {"sign", sign}});
}

}  // namespace

Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x) {
  return shift_images(x, u, reach_y, reach_x, 1);
}

}  // namespace gan::ops
