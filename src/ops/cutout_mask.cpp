#include <algorithm>
#include <cmath>
#include <cstdint>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "the places");
  const std::int64_t height = attributes.integer("height"), width = attributes.integer("width");
  if (inputs[0].dtype != DType::f32 || inputs[0].shape[1] != 2 || attributes.integer("box_height") > height ||
      attributes.integer("box_width") > width || attributes.integer("box_height") < 0 ||
      attributes.integer("box_width") < 0)
    base::fail_usage("boxes of {} x {} at {} in images of {} x {}: places f32 [N, 2] expected",
                     attributes.integer("box_height"), attributes.integer("box_width"), to_string(inputs[0]), height,
                     width);
  return {DType::f32, {inputs[0].shape[0], 1, height, width}};
}

struct Range {
  std::int64_t begin, end;
};

/// The part inside [0, length) of a box whose middle lies anywhere in it.
template <typename T>
Range box_range(T u, std::int64_t length, std::int64_t box) {
  const std::int64_t places = length + 1 - box % 2;
  const auto begin = static_cast<std::int64_t>(std::floor(u * static_cast<T>(places))) - box / 2;
  return {std::clamp<std::int64_t>(begin, 0, length), std::clamp<std::int64_t>(begin + box, 0, length)};
}

template <typename T>
void fill_masks(const T* u, T* dst, std::int64_t count, const graph::Attributes& attributes) {
  const std::int64_t height = attributes.integer("height"), width = attributes.integer("width");
  std::fill_n(dst, count * height * width, T(1));
  for (std::int64_t n = 0; n < count; ++n) {
    const Range rows = box_range(u[2 * n], height, attributes.integer("box_height"));
    const Range columns = box_range(u[2 * n + 1], width, attributes.integer("box_width"));
    for (std::int64_t y = rows.begin; y < rows.end; ++y)
      std::fill(dst + (n * height + y) * width + columns.begin, dst + (n * height + y) * width + columns.end, T(0));
  }
}

}  // namespace

extern const graph::Op cutout_mask_op;
const graph::Op cutout_mask_op{
    .name = "cutout_mask",
    .inputs = 1,
    .infer = infer,
    .reference =
        [](const graph::ReferenceCall& call) {
          fill_masks(call.src[0].data(), call.dst.data(), call.types[0].shape[0], call.node.attributes);
        },
    .lower =
        [](runtime::Lowering& lowering) {
          lowering.emit(0, [u = lowering.src<float>(0), dst = lowering.dst<float>(), count = lowering.src_shape(0)[0],
                            attributes = lowering.attributes()] { fill_masks(u, dst, count, attributes); });
        },
};

Tensor cutout_mask(Tensor u, std::int64_t height, std::int64_t width, std::int64_t box_height, std::int64_t box_width) {
  return u.graph->add(cutout_mask_op, {u},
                      {{"height", height}, {"width", width}, {"box_height", box_height}, {"box_width", box_width}});
}

}  // namespace gan::ops
