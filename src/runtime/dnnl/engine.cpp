#include "runtime/dnnl/engine.h"

#include <hwy/targets.h>

#include "base/error.h"
#include "runtime/dnnl/version.h"

namespace gan::runtime::onednn {

dnnl::engine& engine() {
  static dnnl::engine engine(dnnl::engine::kind::cpu, 0);
  return engine;
}

dnnl::stream& stream() {
  static dnnl::stream stream(engine());
  return stream;
}

dnnl::memory::data_type data_type(graph::DType dtype) {
  switch (dtype) {
    case graph::DType::f32:
      return dnnl::memory::data_type::f32;
    case graph::DType::bf16:
      return dnnl::memory::data_type::bf16;
    case graph::DType::i32:
      return dnnl::memory::data_type::s32;
  }
  return dnnl::memory::data_type::undef;
}

PostOpArguments post_op_arguments(const std::vector<PostOp>& post_ops, const dnnl::memory::desc& result,
                                  std::size_t channel) {
  using dnnl::algorithm;
  PostOpArguments arguments;
  for (const PostOp& post_op : post_ops) {
    switch (post_op.op) {
      case TileOp::relu:
        append_eltwise(arguments.ops, algorithm::eltwise_relu, 0.0f);
        continue;
      case TileOp::leaky_relu:
        append_eltwise(arguments.ops, algorithm::eltwise_relu, post_op.alpha);
        continue;
      case TileOp::tanh:
        append_eltwise(arguments.ops, algorithm::eltwise_tanh, 0.0f);
        continue;
      case TileOp::sigmoid:
        append_eltwise(arguments.ops, algorithm::eltwise_logistic, 0.0f);
        continue;
      case TileOp::add:
      case TileOp::mul:
        break;
      default:
        base::fail_run("elementwise operation {} is no post-op", static_cast<int>(post_op.op));
    }
    const dnnl::memory::dims full = dims_of(result);
    dnnl::memory::dims dims(full.size(), 1), strides(full.size(), 1);
    if (post_op.access == Access::row) dims[channel] = full[channel];
    dnnl::memory::desc desc(dims, dnnl::memory::data_type::f32, strides);
    if (post_op.access == Access::full) desc = {full, dnnl::memory::data_type::f32, strides_of(result)};
    const int position = arguments.ops.len();
    arguments.ops.append_binary(post_op.op == TileOp::add ? algorithm::binary_add : algorithm::binary_mul, desc);
    arguments.memories.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1,
                                    dnnl::memory(desc, engine(), const_cast<float*>(post_op.data)));
  }
  return arguments;
}

}  // namespace gan::runtime::onednn

namespace gan::runtime {

void pretend_avx2() {
  if (!(hwy::SupportedTargets() & HWY_AVX2)) base::fail_usage("this processor has no AVX2");
  hwy::DisableTargets(HWY_AVX2 - 1);  // better targets have lower bits
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
}

std::string instruction_set() {
  switch (dnnl::get_effective_cpu_isa()) {
    case dnnl::cpu_isa::sse41:
      return "sse41";
    case dnnl::cpu_isa::avx:
      return "avx";
    case dnnl::cpu_isa::avx2:
      return "avx2";
    case dnnl::cpu_isa::avx2_vnni:
      return "avx2_vnni";
    case dnnl::cpu_isa::avx512_core:
      return "avx512_core";
    case dnnl::cpu_isa::avx512_core_vnni:
      return "avx512_core_vnni";
    case dnnl::cpu_isa::avx512_core_bf16:
      return "avx512_core_bf16";
#if DNNL_VERSION_MAJOR >= 3
    case dnnl::cpu_isa::avx2_vnni_2:
      return "avx2_vnni_2";
    case dnnl::cpu_isa::avx512_core_fp16:
      return "avx512_core_fp16";
    case dnnl::cpu_isa::avx512_core_amx_fp16:
#endif
    case dnnl::cpu_isa::avx512_core_amx:
      return "avx512_core_amx";
    default:
      return "generic";
  }
}

}  // namespace gan::runtime
