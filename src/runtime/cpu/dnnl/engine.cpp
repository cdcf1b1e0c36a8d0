#include "runtime/cpu/dnnl/engine.h"

#include <fmt/format.h>
#include <hwy/targets.h>

#include <map>

#include "base/error.h"
#include "runtime/backend.h"
#include "runtime/cpu/dnnl/version.h"
#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/processor.h"
#include "runtime/libraries.h"

std::string gan::runtime::onednn_version() {
  const dnnl_version_t* const version = dnnl_version();
  return fmt::format("{}.{}.{}", version->major, version->minor, version->patch);
}

namespace gan::runtime::cpu::onednn {

dnnl::engine& engine() {
  static dnnl::engine engine = [] {
    // Primitives that nobody uses any more stay in a cache of oneDNN's, some 100 KB each: by default 1,024 of them.
    dnnl::set_primitive_cache_capacity(128);
    return dnnl::engine(dnnl::engine::kind::cpu, 0);
  }();
  return engine;
}

dnnl::stream& stream() {
  static dnnl::stream stream(engine());
  return stream;
}

dnnl::memory::data_type data_type(graph::DType dtype) {
  using enum dnnl::memory::data_type;
  return dtype == graph::DType::f32 ? f32 : dtype == graph::DType::bf16 ? bf16 : s32;
}

namespace {

dnnl::algorithm algorithm_of(ElementwiseOp op) {
  using enum dnnl::algorithm;
  constexpr dnnl::algorithm kAlgorithms[] = {
      // in the order of PostOp
      undef, undef, binary_add, binary_mul, eltwise_relu, eltwise_tanh, eltwise_logistic};
  const dnnl::algorithm found = kAlgorithms[static_cast<std::size_t>(row_of(op).post_op)];
  if (found == undef) base::fail_run("elementwise operation {} has no post-op", static_cast<int>(op));
  return found;
}

}  // namespace

PostOps post_ops(const BoundChain& epilogue, const dnnl::memory::desc& result) {
  PostOps out;
  out.constants = std::make_shared<std::vector<float>>(epilogue.constants);
  const dnnl::memory::dims full = dims_of(result);
  int last = 0;
  for (const Instruction& instruction : epilogue.instructions) {
    const auto slot = static_cast<std::size_t>(instruction.a == last ? instruction.b : instruction.a);
    last = instruction.dst;
    if (row_of(instruction.op).post_op == PostOp::copy) continue;  // the primitive stores the type of the result
    if (!graph::is_binary(instruction.op)) {
      append_eltwise(out.ops, algorithm_of(instruction.op), instruction.alpha);
      continue;
    }
    const bool constant = slot >= epilogue.operands.size();
    const Access access = constant ? Access::scalar : epilogue.operands[slot].access;
    const void* data = constant ? &(*out.constants)[slot - epilogue.operands.size()] : epilogue.operands[slot].data;
    dnnl::memory::dims dims(full.size(), 1), strides(full.size(), 1);
    if (access == Access::row) dims[1] = full[1];
    dnnl::memory::desc desc(dims, dnnl::memory::data_type::f32, strides);
    if (access == Access::full) desc = {full, dnnl::memory::data_type::f32, strides_of(result)};
    const int position = out.ops.len();
    out.ops.append_binary(algorithm_of(instruction.op), desc);
    out.memories.emplace_back(DNNL_ARG_ATTR_MULTIPLE_POST_OP(position) | DNNL_ARG_SRC_1,
                              dnnl::memory(desc, engine(), const_cast<void*>(data)));
  }
  return out;
}

}  // namespace gan::runtime::cpu::onednn

namespace gan::runtime::cpu {

std::string instruction_set() {
  using enum dnnl::cpu_isa;
  static const std::map<dnnl::cpu_isa, const char*> kIsaNames = {
    {sse41, "sse41"},
    {avx, "avx"},
    {avx2, "avx2"},
    {avx2_vnni, "avx2_vnni"},
    {avx512_core, "avx512_core"},
    {avx512_core_vnni, "avx512_core_vnni"},
    {avx512_core_bf16, "avx512_core_bf16"},
#if DNNL_VERSION_MAJOR >= 3
    {avx2_vnni_2, "avx2_vnni_2"},
    {avx512_core_fp16, "avx512_core_fp16"},
    {avx512_core_amx_fp16, "avx512_core_amx"},
#endif
    {avx512_core_amx, "avx512_core_amx"},
  };
  const auto name = kIsaNames.find(dnnl::get_effective_cpu_isa());
  return name == kIsaNames.end() ? "generic" : name->second;
}

}  // namespace gan::runtime::cpu

namespace gan::runtime {

void pretend_avx2() {
  if (!(hwy::SupportedTargets() & HWY_AVX2)) base::fail_usage("this processor has no AVX2");
  hwy::DisableTargets(HWY_AVX2 - 1);  // better targets have lower bits
  dnnl::set_max_cpu_isa(dnnl::cpu_isa::avx2);
}

}  // namespace gan::runtime
