#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::Matmul matmul_of(const graph::TensorType& a, const graph::TensorType& b, const graph::Attributes& attributes) {
  const bool ta = attributes.integer("transpose_a") != 0, tb = attributes.integer("transpose_b") != 0;
  const std::int64_t k = a.shape[ta ? 0 : 1], other_k = b.shape[tb ? 1 : 0];
  if (k != other_k)
    base::fail_usage("{}{} times {}{}: inner sizes {} and {} differ", to_string(a.shape), ta ? "^T" : "",
                     to_string(b.shape), tb ? "^T" : "", k, other_k);
  return {a.shape[ta ? 1 : 0], b.shape[tb ? 0 : 1], k, ta, tb, a.dtype};
}

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "the first operand");
  expect_rank(inputs[1], 2, "the second operand");
  expect_real(inputs[0], "the first operand");
  if (inputs[0].dtype != inputs[1].dtype)
    base::fail_usage("operands of types {} and {}; expected one type", name_of(inputs[0].dtype),
                     name_of(inputs[1].dtype));
  const graph::Matmul product = matmul_of(inputs[0], inputs[1], attributes);
  return {DType::f32, {product.m, product.n}};
}

Gradients derivative(const graph::Node& node, Tensor result, Tensor gradient) {
  const Tensor a = input(node, 0, result), b = input(node, 1, result);
  const bool ta = node.attributes.integer("transpose_a") != 0, tb = node.attributes.integer("transpose_b") != 0;
  return {ta ? matmul(b, gradient, tb, true) : matmul(gradient, b, false, !tb),
          tb ? matmul(gradient, a, true, ta) : matmul(a, gradient, !ta, false)};
}

graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  return matmul_of(input_type(graph, node, 0), input_type(graph, node, 1), node.attributes);
}

/// A product with k = 1 is an elementwise outer product, which can be fused with elementwise readers.
std::optional<Tensor> fold(const graph::Node& node, std::span<const Tensor> inputs) {
  const graph::Matmul product = matmul_of(inputs[0].type(), inputs[1].type(), node.attributes);
  if (product.k != 1) return std::nullopt;
  return mul(reshape(inputs[0], {product.m, 1}), reshape(inputs[1], {1, product.n}));
}

}  // namespace

extern const graph::Op matmul_op{
    .name = "matmul",
    .inputs = 2,
    .infer = infer,
    .derivative = derivative,
    .describe = describe,
    .contraction = true,
    .keeps_rows = [](const graph::Graph&,
                     const graph::Node& node) { return node.attributes.integer("transpose_a") == 0; },
    .fold = fold,
};

Tensor matmul(Tensor a, Tensor b, bool transpose_a, bool transpose_b) {
  return a.graph->add(matmul_op, {a, b},
                      {{"transpose_a", std::int64_t{transpose_a}}, {"transpose_b", std::int64_t{transpose_b}}});
}

}  // namespace gan::ops
