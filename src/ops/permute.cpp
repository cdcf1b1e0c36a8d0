#include <algorithm>
#include <numeric>
#include <utility>

#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

using Order = std::vector<std::int64_t>;

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const Order& order = attributes.integers("order");
  Order sorted = order, axes(inputs[0].shape.size());
  std::sort(sorted.begin(), sorted.end());
  std::iota(axes.begin(), axes.end(), 0);
  if (sorted != axes || inputs[0].dtype != DType::f32)
    base::fail_usage("the order {} does not fit {}", graph::to_string(order), to_string(inputs[0]));
  Shape shape;
  for (std::int64_t axis : order) shape.push_back(inputs[0].shape[static_cast<std::size_t>(axis)]);
  return {DType::f32, shape};
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  const Shape& from = input_type(graph, node, 0).shape;
  graph::StridedCopy::Part part{
      .lengths = node.type.shape, .src_strides = {}, .dst_strides = Shape(node.type.shape.size(), 1)};
  for (const std::int64_t axis : node.attributes.integers("order"))
    part.src_strides.push_back(elements_from(from, axis + 1));
  for (std::size_t axis = 0; axis < part.lengths.size(); ++axis)
    part.dst_strides[axis] = elements_from(part.lengths, static_cast<std::int64_t>(axis) + 1);
  return graph::StridedCopy{.parts = {std::move(part)}, .dtype = node.type.dtype, .elements = node.type.elements()};
}

}  // namespace

extern const graph::Op permute_op{
    .name = "permute",
    .inputs = 1,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor, Tensor gradient) -> Gradients {
      const Order& order = node.attributes.integers("order");
      Order back(order.size());
      for (std::size_t i = 0; i < order.size(); ++i)
        back[static_cast<std::size_t>(order[i])] = static_cast<std::int64_t>(i);
      return {permute(gradient, back)};
    },
    .describe = describe,
    .keeps_rows = [](const graph::Graph&,
                     const graph::Node& node) { return node.attributes.integers("order")[0] == 0; },
};

Tensor permute(Tensor x, const std::vector<std::int64_t>& order) {
  return x.graph->add(permute_op, {x}, {{"order", order}});
}

}  // namespace gan::ops
