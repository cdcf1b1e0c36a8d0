#include <algorithm>
#include <utility>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  if (inputs.empty()) base::fail_usage("no tensors given");
  const auto axis = static_cast<std::size_t>(attributes.integer("axis"));
  Shape shape = inputs[0].shape;
  if (axis >= shape.size()) base::fail_usage("axis {} of {}", axis, to_string(inputs[0]));
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

/// Elements in one entry of the axes before `axis`.
std::int64_t run_length(const Shape& shape, std::int64_t axis) {
  return graph::element_count(Shape(shape.begin() + axis, shape.end()));
}

template <typename Element>
void lower_as(runtime::Lowering& lowering) {
  const std::int64_t axis = lowering.attributes().integer("axis");
  const std::int64_t stride = run_length(lowering.dst_type().shape, axis);
  const std::int64_t runs = lowering.dst_type().elements() / std::max<std::int64_t>(stride, 1);
  struct Part {
    const Element* src;
    std::int64_t length;
  };
  std::vector<Part> parts;
  for (std::size_t i = 0; i < lowering.node().inputs.size(); ++i)
    parts.push_back({lowering.src<Element>(i), run_length(lowering.src_shape(i), axis)});
  lowering.emit(0, [parts, runs, stride, dst = lowering.dst<Element>()] {
    std::int64_t offset = 0;
    for (const Part& part : parts) {
      copy_runs(part.src, dst + offset, runs, part.length, part.length, stride);
      offset += part.length;
    }
  });
}

void lower(runtime::Lowering& lowering) {
  with_element_of(lowering.dst_type().dtype, [&](auto zero) { lower_as<decltype(zero)>(lowering); });
}

void reference(const graph::ReferenceCall& call) {
  const std::int64_t axis = call.node.attributes.integer("axis");
  const std::int64_t stride = run_length(call.node.type.shape, axis);
  std::int64_t offset = 0;
  for (std::size_t i = 0; i < call.src.size(); ++i) {
    const std::int64_t length = run_length(call.types[i].shape, axis);
    copy_runs(call.src[i].data(), call.dst.data() + offset, call.node.type.elements() / stride, length, length, stride);
    offset += length;
  }
}

}  // namespace

extern const graph::Op concat_op;
const graph::Op concat_op{
    .name = "concat",
    .infer = infer,
    .derivative = derivative,
    .reference = reference,
    .lower = lower,
};

Tensor concat(const std::vector<Tensor>& tensors, std::int64_t axis) {
  if (tensors.empty()) base::fail_usage("concat: no tensors given");
  if (axis < 0) axis += static_cast<std::int64_t>(tensors[0].shape().size());
  return tensors[0].graph->add(concat_op, tensors, {{"axis", axis}});
}

}  // namespace gan::ops
