#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis"), before = attributes.integer("before"),
                     after = attributes.integer("after");
  Shape shape = inputs[0].shape;
  if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || before < 0 || after < 0 ||
      inputs[0].dtype != DType::f32)
    base::fail_usage("{} zeros before and {} after axis {} of {}; expected 0 or more, and an axis of an f32 tensor",
                     before, after, axis, to_string(inputs[0]));
  shape[static_cast<std::size_t>(axis)] += before + after;
  return {DType::f32, shape};
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  const Shape& from = input_type(graph, node, 0).shape;
  const std::int64_t axis = node.attributes.integer("axis");
  const std::int64_t length = elements_from(from, axis), stride = elements_from(node.type.shape, axis);
  return graph::StridedCopy{
      .parts = {{.lengths = {elements_before(from, axis), length},
                 .src_strides = {length, 1},
                 .dst_strides = {stride, 1},
                 .dst_offset = node.attributes.integer("before") * elements_from(from, axis + 1)}},
      .dtype = node.type.dtype,
      .elements = node.type.elements(),
      .zeros = true};
}

}  // namespace

extern const graph::Op pad_op{
    .name = "pad",
    .inputs = 1,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const std::int64_t axis = node.attributes.integer("axis");
      const std::int64_t length = input(node, 0, result).dim(static_cast<std::size_t>(axis));
      return {slice(gradient, axis, node.attributes.integer("before"), length)};
    },
    .describe = describe,
};

Tensor pad(Tensor x, std::int64_t axis, std::int64_t before, std::int64_t after) {
  return x.graph->add(pad_op, {x}, {{"axis", axis}, {"before", before}, {"after", after}});
}

}  // namespace gan::ops
