#include <algorithm>

#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"

namespace gan::ops {

namespace {

constexpr std::int64_t kShortestRow = 16;  // shorter ones would leave the lanes of a chain's vectors empty

void reference(const graph::ReferenceCall& call) {
  const runtime::TileOperand how = runtime::broadcast_operand(call.node.type.shape, call.types[0].shape);
  std::fill(call.dst.begin(), call.dst.end(), 0.0);
  for (std::size_t i = 0; i < call.src[0].size(); ++i) call.dst[runtime::operand_index(how, i)] += call.src[0][i];
}

void lower(runtime::Lowering& lowering) {
  const auto* src = lowering.src<float>(0);
  auto* dst = lowering.dst<float>();
  const std::int64_t from = lowering.src_type(0).elements(), to = lowering.dst_type().elements();
  const double operations = static_cast<double>(from);
  const runtime::TileOperand how = runtime::broadcast_operand(lowering.dst_type().shape, lowering.src_shape(0));
  switch (how.access) {
    case runtime::Access::scalar:
    case runtime::Access::column:
      return lowering.emit(operations, [=] { runtime::sum_over_columns(src, dst, to, from / to); });
    case runtime::Access::row:
      return lowering.emit(operations, [=] { runtime::sum_over_rows(src, dst, from / to, to); });
    default:
      return lowering.emit(operations, [=] {
        std::fill_n(dst, to, 0.0f);
        for (std::int64_t i = 0; i < from; ++i) dst[runtime::operand_index(how, static_cast<std::size_t>(i))] += src[i];
      });
  }
}

}  // namespace

extern const graph::Op sum_op;
const graph::Op sum_op{
    .name = "sum",
    .inputs = 1,
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) -> graph::TensorType {
      const Shape& shape = attributes.integers("shape");
      if (inputs[0].dtype != DType::f32) base::fail_usage("{} given, f32 expected", to_string(inputs[0]));
      if (graph::broadcast_shape(shape, inputs[0].shape) != inputs[0].shape)
        base::fail_usage("{} cannot be summed to {}", to_string(inputs[0]), to_string(shape));
      return {DType::f32, shape};
    },
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      return {broadcast(gradient, input(node, 0, result).shape())};
    },
    .reference = reference,
    .lower = lower,
    .ends_chain =
        [](const graph::Graph& graph, const graph::Node& node) {
          const Shape& from = graph.node(node.inputs[0]).type.shape;
          const runtime::TileOperand how = runtime::broadcast_operand(node.type.shape, from);
          return runtime::chains_take_sums() && how.access == runtime::Access::row && how.period >= kShortestRow;
        },
    .fold = [](const graph::Node& node, std::span<const Tensor> inputs) -> std::optional<Tensor> {
      const auto value = constant_value(inputs[0]);
      if (inputs[0].type() == node.type) return inputs[0];
      if (!value) return std::nullopt;
      const double times = static_cast<double>(inputs[0].elements()) / static_cast<double>(node.type.elements());
      return constant(*inputs[0].graph, *value * times, node.type.shape);
    },
};

Tensor sum_to(Tensor x, const Shape& shape) {
  return x.shape() == shape ? x : x.graph->add(sum_op, {x}, {{"shape", shape}});
}

Tensor sum(Tensor x) { return sum_to(x, {}); }

Tensor mean(Tensor x) { return sum(x) * (1.0 / static_cast<double>(x.elements())); }

}  // namespace gan::ops
