#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis"), begin = attributes.integer("begin"),
                     length = attributes.integer("length");
  Shape shape = inputs[0].shape;
  if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || begin < 0 || length < 1 ||
      begin + length > shape[static_cast<std::size_t>(axis)] || inputs[0].dtype == DType::i32)
    base::fail_usage("{} from {} on of axis {} of {}; expected one entry or more within an axis of a real tensor",
                     base::counted(length, "entry", "entries"), begin, axis, to_string(inputs[0]));
  shape[static_cast<std::size_t>(axis)] = length;
  return {inputs[0].dtype, shape};
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  const Shape& from = input_type(graph, node, 0).shape;
  const std::int64_t axis = node.attributes.integer("axis"), length = elements_from(node.type.shape, axis);
  return graph::StridedCopy{.parts = {{.lengths = {elements_before(from, axis), length},
                                       .src_strides = {elements_from(from, axis), 1},
                                       .dst_strides = {length, 1},
                                       .src_offset = node.attributes.integer("begin") * elements_from(from, axis + 1)}},
                            .dtype = node.type.dtype,
                            .elements = node.type.elements()};
}

/// Slices rows of x. The slice moves in front of column slices and reshapes that x consists of, so that it reaches a
/// contraction, which then computes fewer rows (passes/narrow.cpp).
Tensor slice_rows(Tensor x, std::int64_t begin, std::int64_t length) {
  const graph::Node& node = x.graph->node(x.id);
  const std::string_view name = node.op ? node.op->name : "";
  if (name == "slice" && node.attributes.integer("axis") > 0)
    return x.graph->add(*node.op, {slice_rows(input(node, 0, x), begin, length)}, node.attributes);
  if (name == "reshape" && !input(node, 0, x).shape().empty() && input(node, 0, x).dim(0) == x.dim(0)) {
    Shape shape = x.shape();
    shape[0] = length;
    return reshape(slice_rows(input(node, 0, x), begin, length), shape);
  }
  return slice(x, 0, begin, length);
}

}  // namespace

extern const graph::Op slice_op{
    .name = "slice",
    .inputs = 1,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const std::int64_t axis = node.attributes.integer("axis"), begin = node.attributes.integer("begin");
      const std::int64_t whole = input(node, 0, result).dim(static_cast<std::size_t>(axis));
      return {pad(gradient, axis, begin, whole - begin - node.attributes.integer("length"))};
    },
    .describe = describe,
    .moves_elements = true,
    .keeps_rows = [](const graph::Graph&, const graph::Node& node) { return node.attributes.integer("axis") > 0; },
    .view = [](const graph::Node& node) -> std::int64_t {
      const Shape& shape = node.type.shape;
      const auto axis = shape.begin() + node.attributes.integer("axis");
      const bool contiguous = std::all_of(shape.begin(), axis, [](std::int64_t length) { return length == 1; });
      return contiguous ? node.attributes.integer("begin") * graph::element_count(Shape(axis + 1, shape.end())) : -1;
    },
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (inputs[0].type() == node.type) return inputs[0];
      if (node.attributes.integer("axis") != 0) return std::nullopt;
      return slice_rows(inputs[0], node.attributes.integer("begin"), node.attributes.integer("length"));
    },
};

Tensor slice(Tensor x, std::int64_t axis, std::int64_t begin, std::int64_t length) {
  return x.graph->add(slice_op, {x}, {{"axis", axis}, {"begin", begin}, {"length", length}});
}

}  // namespace gan::ops
