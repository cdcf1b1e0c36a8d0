#include <algorithm>

#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis"), begin = attributes.integer("begin"),
                     length = attributes.integer("length");
  Shape shape = inputs[0].shape;
  if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()) || begin < 0 || length < 1 ||
      begin + length > shape[static_cast<std::size_t>(axis)] || inputs[0].dtype == DType::i32)
    base::fail_usage("{} from {} on of axis {} of {}", base::counted(length, "entry", "entries"), begin, axis,
                     to_string(inputs[0]));
  shape[static_cast<std::size_t>(axis)] = length;
  return {inputs[0].dtype, shape};
}

template <typename T>
void copy_slice(const T* src, T* dst, const Shape& from, const graph::Attributes& attributes) {
  const std::int64_t axis = attributes.integer("axis");
  const std::int64_t inner = graph::element_count(Shape(from.begin() + axis + 1, from.end()));
  const std::int64_t outer = graph::element_count(Shape(from.begin(), from.begin() + axis));
  const std::int64_t stride = from[static_cast<std::size_t>(axis)] * inner,
                     length = attributes.integer("length") * inner;
  copy_runs(src + attributes.integer("begin") * inner, dst, outer, length, stride, length);
}

/// Rows of x, cut before its own columns are cut or its rows get another shape: of a contraction whose rows are cut,
/// less need be computed.
Tensor cut_rows(Tensor x, std::int64_t begin, std::int64_t length) {
  const graph::Node& node = x.graph->node(x.id);
  const std::string_view name = node.op ? node.op->name : "";
  if (name == "slice" && node.attributes.integer("axis") > 0)
    return x.graph->add(*node.op, {cut_rows(input(node, 0, x), begin, length)}, node.attributes);
  if (name == "reshape" && !input(node, 0, x).shape().empty() && input(node, 0, x).dim(0) == x.dim(0)) {
    Shape shape = x.shape();
    shape[0] = length;
    return reshape(cut_rows(input(node, 0, x), begin, length), shape);
  }
  return slice(x, 0, begin, length);
}

}  // namespace

extern const graph::Op slice_op;
const graph::Op slice_op{
    .name = "slice",
    .inputs = 1,
    .infer = infer,
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      const std::int64_t axis = node.attributes.integer("axis"), begin = node.attributes.integer("begin");
      const std::int64_t whole = input(node, 0, result).dim(static_cast<std::size_t>(axis));
      return {pad(gradient, axis, begin, whole - begin - node.attributes.integer("length"))};
    },
    .reference =
        [](const graph::ReferenceCall& call) {
          copy_slice(call.src[0].data(), call.dst.data(), call.types[0].shape, call.node.attributes);
        },
    .lower =
        [](runtime::Lowering& lowering) {
          with_element_of(lowering.dst_type().dtype, [&]<typename Element>(Element) {
            lowering.emit(0,
                          [src = lowering.src<Element>(0), dst = lowering.dst<Element>(), from = lowering.src_shape(0),
                           attributes = lowering.attributes()] { copy_slice(src, dst, from, attributes); });
          });
        },
    .view = [](const graph::Node& node) -> std::int64_t {
      const Shape& shape = node.type.shape;
      const auto axis = shape.begin() + node.attributes.integer("axis");
      const bool is_run = std::all_of(shape.begin(), axis, [](std::int64_t length) { return length == 1; });
      return is_run ? node.attributes.integer("begin") * graph::element_count(Shape(axis + 1, shape.end())) : -1;
    },
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      if (inputs[0].type() == node.type) return inputs[0];
      if (node.attributes.integer("axis") != 0) return std::nullopt;
      return cut_rows(inputs[0], node.attributes.integer("begin"), node.attributes.integer("length"));
    },
};

Tensor slice(Tensor x, std::int64_t axis, std::int64_t begin, std::int64_t length) {
  return x.graph->add(slice_op, {x}, {{"axis", axis}, {"begin", begin}, {"length", length}});
}

}  // namespace gan::ops
