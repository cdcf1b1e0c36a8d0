#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

namespace gan::ops {

void expect_rank(const graph::TensorType& type, std::size_t rank, std::string_view what) {
  if (type.shape.size() != rank)
    base::fail_usage("{} is {}, {} expected", what, to_string(type),
                     base::counted(static_cast<std::int64_t>(rank), "axis", "axes"));
}

void expect_real(const graph::TensorType& type, std::string_view what) {
  if (type.dtype == DType::i32) base::fail_usage("{} is {}, real numbers expected", what, to_string(type));
}

std::optional<Tensor> fold_binary(const graph::Node& node, std::span<const Tensor> inputs, double neutral,
                                  bool commutative) {
  const auto a = constant_value(inputs[0]), b = constant_value(inputs[1]);
  if (a && b) return constant(*inputs[0].graph, node.op->scalar(*a, *b, 0), node.type.shape);
  if (b == neutral && inputs[0].type() == node.type) return inputs[0];
  if (commutative && a == neutral && inputs[1].type() == node.type) return inputs[1];
  return std::nullopt;
}

}  // namespace gan::ops
