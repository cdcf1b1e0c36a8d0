#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"
#include "runtime/matvec.h"
#include "runtime/row_product.h"

namespace gan::ops {

namespace {

struct Sizes {
  std::int64_t m, n, k;
  bool transpose_a, transpose_b;
};

Sizes sizes_of(const Shape& a, const Shape& b, const graph::Attributes& attributes) {
  const bool ta = attributes.integer("transpose_a") != 0, tb = attributes.integer("transpose_b") != 0;
  const std::int64_t k = a[ta ? 0 : 1], other_k = b[tb ? 1 : 0];
  if (k != other_k)
    base::fail_usage("{}{} times {}{}: inner sizes {} and {} differ", to_string(a), ta ? "^T" : "", to_string(b),
                     tb ? "^T" : "", k, other_k);
  return {a[ta ? 1 : 0], b[tb ? 0 : 1], k, ta, tb};
}

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  expect_rank(inputs[0], 2, "the first operand");
  expect_rank(inputs[1], 2, "the second operand");
  expect_real(inputs[0], "the first operand");
  if (inputs[0].dtype != inputs[1].dtype)
    base::fail_usage("operands of types {} and {}", name_of(inputs[0].dtype), name_of(inputs[1].dtype));
  const Sizes sizes = sizes_of(inputs[0].shape, inputs[1].shape, attributes);
  return {DType::f32, {sizes.m, sizes.n}};
}

Gradients derivative(const graph::Node& node, Tensor result, Tensor gradient) {
  const Tensor a = input(node, 0, result), b = input(node, 1, result);
  const bool ta = node.attributes.integer("transpose_a") != 0, tb = node.attributes.integer("transpose_b") != 0;
  return {ta ? matmul(b, gradient, tb, true) : matmul(gradient, b, false, !tb),
          tb ? matmul(gradient, a, true, ta) : matmul(a, gradient, !ta, false)};
}

void reference(const graph::ReferenceCall& call) {
  const Sizes s = sizes_of(call.types[0].shape, call.types[1].shape, call.node.attributes);
  std::fill(call.dst.begin(), call.dst.end(), 0.0);
  // The innermost loop runs along a row of the result, so that large cases stay bearable.
  for (std::int64_t i = 0; i < s.m; ++i)
    for (std::int64_t k = 0; k < s.k; ++k) {
      const double a = call.src[0][static_cast<std::size_t>(s.transpose_a ? k * s.m + i : i * s.k + k)];
      double* row = call.dst.data() + i * s.n;
      const double* b = call.src[1].data() + (s.transpose_b ? k : k * s.n);
      const std::int64_t stride = s.transpose_b ? s.k : 1;
      for (std::int64_t j = 0; j < s.n; ++j) row[j] += a * b[j * stride];
    }
}

void lower(runtime::Lowering& lowering) {
  const Sizes s = sizes_of(lowering.src_shape(0), lowering.src_shape(1), lowering.attributes());
  const runtime::MatmulSpec spec{.m = s.m,
                                 .n = s.n,
                                 .k = s.k,
                                 .transpose_a = s.transpose_a,
                                 .transpose_b = s.transpose_b,
                                 .operand_dtype = lowering.src_type(0).dtype,
                                 .dst_dtype = lowering.dst_type().dtype,
                                 .a = lowering.src(0),
                                 .b = lowering.src(1),
                                 .dst = lowering.dst(),
                                 .post_ops = lowering.post_ops(),
                                 // What is computed once is not worth another form of its weights.
                                 .frozen_b = lowering.src_frozen(1) && !lowering.src_frozen(0),
                                 .compact = lowering.compact()};
  const double operations = 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  if (auto row_product = runtime::RowProduct::make(spec)) return lowering.emit(operations, std::move(row_product));
  lowering.emit(operations, lowering.chain()           ? runtime::matmul_chain_kernel(spec, *lowering.chain())
                            : runtime::is_matvec(spec) ? runtime::matvec_kernel(spec)
                                                       : runtime::matmul_kernel(spec));
}

/// A product over one number is elementwise, and need not be stored where the next op is elementwise too.
std::optional<Tensor> fold(const graph::Node& node, std::span<const Tensor> inputs) {
  const Sizes s = sizes_of(inputs[0].shape(), inputs[1].shape(), node.attributes);
  if (s.k != 1) return std::nullopt;
  return mul(reshape(inputs[0], {s.m, 1}), reshape(inputs[1], {1, s.n}));
}

}  // namespace

extern const graph::Op matmul_op;
const graph::Op matmul_op{
    .name = "matmul",
    .inputs = 2,
    .infer = infer,
    .derivative = derivative,
    .reference = reference,
    .lower = lower,
    .epilogue =
        [](const graph::Graph& graph, const graph::Node& node) {
          return runtime::matmul_takes_post_ops(graph.node(node.inputs[0]).type, node.type,
                                                node.attributes.integer("transpose_b") != 0);
        },
    .chain =
        [](const graph::Graph& graph, const graph::Node& node) {
          return runtime::matmul_takes_chain(graph.node(node.inputs[0]).type, node.type);
        },
    .contraction = true,
    .fold = fold,
};

Tensor matmul(Tensor a, Tensor b, bool transpose_a, bool transpose_b) {
  return a.graph->add(matmul_op, {a, b},
                      {{"transpose_a", std::int64_t{transpose_a}}, {"transpose_b", std::int64_t{transpose_b}}});
}

}  // namespace gan::ops
