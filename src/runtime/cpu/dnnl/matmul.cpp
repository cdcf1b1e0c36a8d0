#include <unordered_map>
#include <utility>

#include "base/error.h"
#include "runtime/cpu/dnnl/engine.h"
#include "runtime/cpu/dnnl/kernels.h"
#include "runtime/cpu/dnnl/reorder.h"
#include "runtime/cpu/dnnl/version.h"

namespace gan::runtime::cpu::onednn {

namespace {

using dnnl::memory;

memory::desc operand_desc(std::int64_t rows, std::int64_t columns, bool transposed, graph::DType dtype) {
  const memory::dims strides = transposed ? memory::dims{1, rows} : memory::dims{columns, 1};
  return {{rows, columns}, data_type(dtype), strides};
}

}  // namespace

MadeProduct sgemm(const Product& product, Workspace&) {
  const BoundMatmul& spec = *product.matmul;
  return {[m = spec.m, n = spec.n, k = spec.k, transpose_a = spec.transpose_a, a = static_cast<const float*>(spec.a),
           b = static_cast<const float*>(spec.b), dst = product.dst()] {
    const dnnl_status_t status =
        dnnl_sgemm(transpose_a ? 'T' : 'N', 'N', m, n, k, 1.0f, a, transpose_a ? m : k, b, n, 0.0f, dst, n);
    if (status != dnnl_success) base::fail_run("sgemm [{}, {}] x [{}, {}]: status {}", m, k, k, n, int{status});
  }};
}

MadeProduct matmul(const Product& product, Workspace&) {
  const BoundMatmul& spec = *product.matmul;
  const BoundResult& result = product.epilogue.results[0];
  const memory::desc a = operand_desc(spec.m, spec.k, spec.transpose_a, spec.operands);
  const memory::desc b = operand_desc(spec.k, spec.n, spec.transpose_b, spec.operands);
  // Frozen weights are reordered once into the layout of the kernel, instead of in every run.
  const memory::desc any(dims_of(b), data_type_of(b), memory::format_tag::any);
  const memory::desc dst = operand_desc(spec.m, spec.n, false, result.dtype);
  try {
    const PostOps epilogue = post_ops(product.epilogue, dst);
    dnnl::primitive_attr attributes;
    attributes.set_post_ops(epilogue.ops);
    const auto description = describe<dnnl::matmul>(engine(), attributes, a, spec.frozen_b ? any : b, dst);
    std::unordered_map<int, memory> arguments(epilogue.memories.begin(), epilogue.memories.end());
    arguments.emplace(DNNL_ARG_SRC, memory(a, engine(), const_cast<void*>(spec.a)));
    const Reordered weights(b, description.weights_desc(), const_cast<void*>(spec.b), /*is_result=*/false);
    weights.copy();
    arguments.emplace(DNNL_ARG_WEIGHTS, weights.inner());
    arguments.emplace(DNNL_ARG_DST, memory(dst, engine(), result.data));
    return {[primitive = dnnl::matmul(description), constants = epilogue.constants, arguments = std::move(arguments)] {
      primitive.execute(stream(), arguments);
    }};
  } catch (const dnnl::error& error) {
    base::fail_run("matmul [{}, {}] x [{}, {}] in {}: {}", spec.m, spec.k, spec.k, spec.n, name_of(spec.operands),
                   error.what());
  }
}

}  // namespace gan::runtime::cpu::onednn
