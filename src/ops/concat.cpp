#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  if (inputs.empty()) base::fail_usage("no tensors given");
  const auto axis = static_cast<std::size_t>(attributes.integer("axis"));
  Shape shape = inputs[0].shape;
  if (axis >= shape.size())
    base::fail_usage("axis {} of {}, which has {}", axis, to_string(inputs[0]),
                     base::counted(std::ssize(shape), "axis", "axes"));
  shape[axis] = 0;
  for (const graph::TensorType& input : inputs) {
    Shape others = input.shape;
    const std::int64_t length = axis < others.size() ? std::exchange(others[axis], 0) : 0;
    Shape expected = shape;
    expected[axis] = 0;
    if (others != expected || input.dtype != inputs[0].dtype)
      base::fail_usage("{} does not join {} along axis {}", to_string(input), to_string(inputs[0]), axis);
    shape[axis] += length;
  }
  return {inputs[0].dtype, shape};
}

Gradients derivative(const graph::Node& node, Tensor result, Tensor gradient) {
  const std::int64_t axis = node.attributes.integer("axis");
  if (result.dtype() != DType::f32) return Gradients(node.inputs.size());
  Gradients gradients;
  std::int64_t begin = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const std::int64_t length = input(node, i, result).dim(static_cast<std::size_t>(axis));
    gradients.push_back(slice(gradient, axis, begin, length));
    begin += length;
  }
  return gradients;
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  const std::int64_t axis = node.attributes.integer("axis");
  const std::int64_t rows = elements_before(node.type.shape, axis), stride = elements_from(node.type.shape, axis);
  graph::StridedCopy copy{.parts = {}, .dtype = node.type.dtype, .elements = node.type.elements()};
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const std::int64_t length = elements_from(input_type(graph, node, i).shape, axis);
    copy.parts.push_back({.input = i,
                          .lengths = {rows, length},
                          .src_strides = {length, 1},
                          .dst_strides = {stride, 1},
                          .dst_offset = offset});
    offset += length;
  }
  return copy;
}

}  // namespace

extern const graph::Op concat_op{
    .name = "concat",
    .infer = infer,
    .derivative = derivative,
    .describe = describe,
    .moves_elements = true,
};

Tensor concat(const std::vector<Tensor>& tensors, std::int64_t axis) {
  if (tensors.empty()) base::fail_usage("concat: no tensors given");
  if (axis < 0) axis += static_cast<std::int64_t>(tensors[0].shape().size());
  return tensors[0].graph->add(concat_op, tensors, {{"axis", axis}});
}

}  // namespace gan::ops
