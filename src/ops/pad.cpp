#include <algorithm>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis"), before = attributes.integer("before"),
                     after = attributes.integer("after");
  Shape shape = inputs[0].shape;
  if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || before < 0 || after < 0 ||
      inputs[0].dtype != DType::f32)
    base::fail_usage("{} zeros before and {} after axis {} of {}", before, after, axis, to_string(inputs[0]));
  shape[static_cast<std::size_t>(axis)] += before + after;
  return {DType::f32, shape};
}

template <typename T>
void copy_padded(const T* src, T* dst, const Shape& from, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis");
  const std::int64_t inner = graph::element_count(Shape(from.begin() + axis + 1, from.end()));
  const std::int64_t outer = graph::element_count(Shape(from.begin(), from.begin() + axis));
  const std::int64_t length = from[static_cast<std::size_t>(axis)] * inner;
  const std::int64_t before = attributes.integer("before") * inner, after = attributes.integer("after") * inner;
  const std::int64_t stride = before + length + after;
  for (std::int64_t i = 0; i < outer; ++i) {
    std::fill_n(dst + i * stride, before, T{0});
    std::fill_n(dst + i * stride + before + length, after, T{0});
  }
  copy_runs(src, dst + before, outer, length, length, stride);
}

}  // namespace

extern const graph::Op pad_op;
const graph::Op pad_op{
    .name = "pad",
    .inputs = 1,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const std::int64_t axis = node.attributes.integer("axis");
      const std::int64_t length = input(node, 0, result).dim(static_cast<std::size_t>(axis));
      return {slice(gradient, axis, node.attributes.integer("before"), length)};
    },
    .reference =
        [](const graph::ReferenceCall& call) {
          copy_padded(call.src[0].data(), call.dst.data(), call.types[0].shape, call.node.attributes);
        },
    .lower =
        [](runtime::Lowering& lowering) {
          lowering.emit(0, [src = lowering.src<float>(0), dst = lowering.dst<float>(), from = lowering.src_shape(0),
                            attributes = lowering.attributes()] { copy_padded(src, dst, from, attributes); });
        },
};

Tensor pad(Tensor x, std::int64_t axis, std::int64_t before, std::int64_t after) {
  return x.graph->add(pad_op, {x}, {{"axis", axis}, {"before", before}, {"after", after}});
}

}  // namespace gan::ops
