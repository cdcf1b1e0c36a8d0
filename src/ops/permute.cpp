#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

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

/// dst[i] = src[the permuted index of i]
template <typename T>
void copy_permuted(const T* src, T* dst, const Shape& from, const Order& order) {
  Shape strides(from.size(), 1), shape, step;
  for (std::size_t axis = from.size(); axis-- > 1;) strides[axis - 1] = strides[axis] * from[axis];
  for (std::int64_t axis : order) {
    shape.push_back(from[static_cast<std::size_t>(axis)]);
    step.push_back(strides[static_cast<std::size_t>(axis)]);
  }
  Shape at(from.size(), 0);
  std::int64_t offset = 0;
  for (std::int64_t i = 0, count = graph::element_count(from); i < count; ++i) {
    dst[i] = src[offset];
    for (std::size_t axis = at.size(); axis-- > 0;) {
      offset += step[axis];
      if (++at[axis] < shape[axis]) break;
      offset -= step[axis] * shape[axis];
      at[axis] = 0;
    }
  }
}

}  // namespace

extern const graph::Op permute_op;
const graph::Op permute_op{
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
    .reference =
        [](const graph::ReferenceCall& call) {
          copy_permuted(call.src[0].data(), call.dst.data(), call.types[0].shape,
                        call.node.attributes.integers("order"));
        },
    .lower =
        [](runtime::Lowering& lowering) {
          lowering.emit(0, [src = lowering.src<float>(0), dst = lowering.dst<float>(), from = lowering.src_shape(0),
                            order = lowering.attributes().integers("order")] { copy_permuted(src, dst, from, order); });
        },
};

Tensor permute(Tensor x, const std::vector<std::int64_t>& order) {
  return x.graph->add(permute_op, {x}, {{"order", order}});
}

}  // namespace gan::ops
