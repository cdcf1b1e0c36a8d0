#include <unordered_map>

#include "base/error.h"
#include "runtime/array.h"
#include "runtime/dnnl/engine.h"
#include "runtime/dnnl/version.h"
#include "runtime/in_f32.h"

namespace gan::runtime {

namespace {

using dnnl::memory;

memory::desc operand_desc(std::int64_t rows, std::int64_t columns, bool transposed, graph::DType dtype) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, onednn::data_type(dtype), strides};
}

std::function<void()> gemm_kernel(const MatmulSpec& spec) {
  if (!spec.post_ops.empty() || spec.dst_dtype != graph::DType::f32) base::fail_run("sgemm has no post-ops");
  return [m = spec.m, n = spec.n, k = spec.k, transpose_a = spec.transpose_a, a = static_cast<const float*>(spec.a),
          b = static_cast<const float*>(spec.b), dst = static_cast<float*>(spec.dst)] {
    const dnnl_status_t status =
        dnnl_sgemm(transpose_a ? 'T' : 'N', 'N', m, n, k, 1.0f, a, transpose_a ? m : k, b, n, 0.0f, dst, n);
    if (status != dnnl_success) base::fail_run("sgemm [{}, {}] x [{}, {}]: status {}", m, k, k, n, int{status});
  };
}

std::function<void()> primitive_kernel(const MatmulSpec& spec) {
  const memory::desc a = operand_desc(spec.m, spec.k, spec.transpose_a, spec.operand_dtype);
  const memory::desc b = operand_desc(spec.k, spec.n, spec.transpose_b, spec.operand_dtype);
  // Weights that stay are brought once into the layout that the kernel works on, instead of in every run.
  const memory::desc any(onednn::dims_of(b), onednn::data_type_of(b), memory::format_tag::any);
  const memory::desc dst = operand_desc(spec.m, spec.n, false, spec.dst_dtype);
  try {
    const onednn::PostOpArguments post_ops = onednn::post_op_arguments(spec.post_ops, dst, 1);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(post_ops.ops);
    const auto description =
        onednn::describe<dnnl::matmul>(onednn::engine(), attributes, a, spec.frozen_b ? any : b, dst);
    std::unordered_map<int, memory> arguments(post_ops.memories.begin(), post_ops.memories.end());
    arguments.emplace(DNNL_ARG_SRC, memory(a, onednn::engine(), const_cast<void*>(spec.a)));
    memory weights(b, onednn::engine(), const_cast<void*>(spec.b));
    auto packed = std::make_shared<AlignedBytes>();
    if (const memory::desc wanted = description.weights_desc(); wanted != b) {
      *packed = AlignedBytes(wanted.get_size());
      memory inner(wanted, onednn::engine(), packed->data());
      dnnl::reorder(weights, inner).execute(onednn::stream(), weights, inner);
      weights = inner;
    }
    arguments.emplace(DNNL_ARG_WEIGHTS, weights);
    arguments.emplace(DNNL_ARG_DST, memory(dst, onednn::engine(), spec.dst));
    return [primitive = dnnl::matmul(description), packed, arguments = std::move(arguments)] {
      primitive.execute(onednn::stream(), arguments);
    };
  } catch (const dnnl::error& error) {
    base::fail_run("matmul [{}, {}] x [{}, {}] in {}: {}", spec.m, spec.k, spec.k, spec.n, name_of(spec.operand_dtype),
                   error.what());
  }
}

std::function<void()> kernel_in_f32(MatmulSpec spec) {
  InF32 copies;
  spec.a = copies.operand(spec.a, spec.m * spec.k);
  spec.b = copies.operand(spec.b, spec.k * spec.n);
  spec.dst = copies.result(spec.dst, spec.dst_dtype, spec.m * spec.n);
  spec.operand_dtype = spec.dst_dtype = graph::DType::f32;
  return copies.around(primitive_kernel(spec));
}

}  // namespace

bool matmul_takes_post_ops(const graph::TensorType& a, const graph::TensorType& product, bool transpose_b) {
  return a.dtype != graph::DType::f32 || transpose_b || product.shape[0] == 1;
}

std::function<void()> matmul_kernel(const MatmulSpec& spec) {
  const graph::TensorType product{graph::DType::f32, {spec.m, spec.n}};
  if (!matmul_takes_post_ops({spec.operand_dtype, {}}, product, spec.transpose_b)) return gemm_kernel(spec);
  return needs_f32(spec.operand_dtype) ? kernel_in_f32(spec) : primitive_kernel(spec);
}

}  // namespace gan::runtime
