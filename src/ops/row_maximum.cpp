#include <algorithm>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

template <typename T>
void largest_of_rows(const T* src, T* dst, std::int64_t rows, std::int64_t columns) {
  for (std::int64_t row = 0; row < rows; ++row)
    dst[row] = *std::max_element(src + row * columns, src + (row + 1) * columns);
}

}  // namespace

extern const graph::Op row_maximum_op;
const graph::Op row_maximum_op{
    .name = "row_maximum",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes&) -> graph::TensorType {
      expect_rank(inputs[0], 2, "the argument");
      if (inputs[0].dtype != DType::f32) base::fail_usage("{} given, f32 expected", to_string(inputs[0]));
      return {DType::f32, {inputs[0].shape[0], 1}};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {gradient * (1.0 - step(result - input(node, 0, result)))};
    },
    .reference =
        [](const graph::ReferenceCall& call) {
          largest_of_rows(call.src[0].data(), call.dst.data(), call.types[0].shape[0], call.types[0].shape[1]);
        },
    .lower =
        [](runtime::Lowering& lowering) {
          const Shape& shape = lowering.src_shape(0);
          lowering.emit(static_cast<double>(graph::element_count(shape)),
                        [src = lowering.src<float>(0), dst = lowering.dst<float>(), rows = shape[0],
                         columns = shape[1]] { largest_of_rows(src, dst, rows, columns); });
        },
};

Tensor row_maximum(Tensor x) { return x.graph->add(row_maximum_op, {x}); }

}  // namespace gan::ops
