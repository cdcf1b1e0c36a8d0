#include "runtime/backend.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "base/error.h"
#include "base/float_mode.h"
#include "base/parallel.h"
#include "base/signals.h"
#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/moves.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/products.h"
#include "runtime/cpu/random.h"
#include "runtime/cpu/row_product.h"
#include "runtime/cpu/sums.h"
#include "runtime/profile.h"

namespace gan::runtime {

namespace cpu {
namespace {

/// A part that can be disabled: pairs of products of one row that run in turns (row_product.h).
constexpr const char* kRowPairs = "row-pairs";

bool is_product(const graph::Spec& spec) {
  return std::holds_alternative<graph::Matmul>(spec) || std::holds_alternative<graph::Convolution>(spec);
}

Product product_of(const Launch& launch, bool use_machine_code) {
  Product product;
  product.compact_rows = launch.compact_rows;
  product.use_machine_code = use_machine_code;
  if (const auto* matmul = std::get_if<graph::Matmul>(&*launch.spec)) {
    // A product that is computed once (both operands frozen) gains nothing from another layout of its weights.
    product.matmul = BoundMatmul{*matmul, launch.inputs[0], launch.inputs[1], launch.frozen[1] && !launch.frozen[0]};
    product.epilogue.elements = matmul->m * matmul->n;
  } else {
    product.convolution =
        BoundConvolution{std::get<graph::Convolution>(*launch.spec), launch.inputs[0], launch.inputs[1]};
    product.epilogue.elements = graph::element_count(product.convolution->result_shape());
  }
  product.epilogue = launch.chain ? bind_chain(*launch.chain, launch.operands, launch.results)
                                  : store_chain(launch.results[0], graph::DType::f32, product.epilogue.elements);
  return product;
}

/// The kernel of a spec other than Matmul and Convolution.
std::function<void()> plain_kernel(const Launch& launch, Communicator* communicator) {
  auto* const dst = reinterpret_cast<float*>(launch.results[0]);
  const graph::Spec& spec = *launch.spec;
  const auto f32 = [&](std::size_t i) { return reinterpret_cast<const float*>(launch.inputs[i]); };
  const auto i32 = [&](std::size_t i) { return reinterpret_cast<const std::int32_t*>(launch.inputs[i]); };
  const auto u32 = [&](std::size_t i) { return reinterpret_cast<const std::uint32_t*>(launch.inputs[i]); };
  if (const auto* s = std::get_if<graph::Reduce>(&spec)) return reduce_kernel(*s, f32(0), dst);
  if (const auto* s = std::get_if<graph::StridedCopy>(&spec)) return copy_kernel(*s, launch.inputs, launch.results[0]);
  if (const auto* s = std::get_if<graph::Gather>(&spec))
    return gather_kernel(*s, launch.inputs[0], i32(1), launch.results[0]);
  if (const auto* s = std::get_if<graph::ScatterAdd>(&spec)) return scatter_add_kernel(*s, f32(0), i32(1), dst);
  if (const auto* s = std::get_if<graph::OneHot>(&spec)) return one_hot_kernel(*s, i32(0), dst);
  if (const auto* s = std::get_if<graph::Random>(&spec))
    return random_kernel(*s, u32(0), u32(1), s->by_part ? u32(2) : nullptr, dst);
  if (const auto* s = std::get_if<graph::ShiftImages>(&spec)) return shift_kernel(*s, f32(0), f32(1), dst);
  if (const auto* s = std::get_if<graph::AllReduce>(&spec))
    return all_reduce_kernel(*s, launch.inputs, dst, communicator);
  return cutout_kernel(std::get<graph::CutoutMask>(spec), f32(0), dst);
}

/// Merges pairs of products of one row of which the second reads the result of the first, so that they run in turns.
/// Pairs are formed from the last kernel on, because the last layers are the largest.
void join_row_products(std::vector<Kernel>& kernels) {
  const auto row_product = [](const Kernel& kernel) { return std::static_pointer_cast<RowProduct>(kernel.detail); };
  for (std::size_t i = kernels.size(); i-- > 1;) {
    Kernel &first = kernels[i - 1], &second = kernels[i];
    const auto before = row_product(first), after = row_product(second);
    if (!before || !after || !after->follows(*before)) continue;
    first.name += ", " + second.name;
    first.operations += second.operations;
    first.bytes += second.bytes;
    first.shape += ", " + second.shape;
    first.run = [before, after] { before->run(after.get()); };
    kernels.erase(kernels.begin() + static_cast<std::ptrdiff_t>(i));
    --i;
  }
}

/// Kernels that divide their work among the threads that were available when they were made.
class CpuExecutable : public Executable {
 public:
  explicit CpuExecutable(std::vector<Kernel> kernels)
      : Executable(std::move(kernels)),
        threads_(base::threads()),
        blocks_signals_(std::ranges::any_of(kernels_, &Kernel::blocks_signals)) {}

  /// Flushes denormal numbers to zero: where gradients vanish, the moments of Adam decay to denormals, with which a
  /// step takes three times as long.
  void run(Profile* profile) override {
    // Only where it is needed: system calls, cheap by themselves, empty the TLB of some virtual machines.
    std::optional<base::ScopedSignalBlock> block;
    if (blocks_signals_) block.emplace();
    const base::ScopedFloatMode flush(base::ScopedFloatMode::without_denormals());
    const base::ScopedThreads team(threads_);
    if (team.count() < threads_)
      base::fail_run("a program compiled for {} threads runs where {} are available; compile it where it runs",
                     threads_, team.count());
    if (!profile) {
      for (const Kernel& kernel : kernels_) kernel.run();
      return;
    }
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      const Profile::Clock::time_point start = Profile::Clock::now();
      kernels_[i].run();
      profile->record(i, kernels_[i], start, Profile::Clock::now());
    }
  }

  bool can_run_here() const override { return base::ScopedThreads(threads_).count() == threads_; }

 private:
  int threads_;
  bool blocks_signals_;
};

class CpuBackend : public Backend {
 public:
  CpuBackend(std::set<std::string> disabled, Communicator* communicator)
      : disabled_(std::move(disabled)), communicator_(communicator) {}

  graph::Target target() const override {
    graph::Target target;
    target.name = instruction_set();
    target.bf16_products_run_chains = machine_code() && multiplier() != Multiplier::none;
    target.chains_sum_rows = machine_code();
    target.epilogue_ops.clear();
    for (const ElementwiseRow& row : kElementwise)
      if (row.post_op != PostOp::none) target.epilogue_ops.push_back(row.op);
    return target;
  }
  bool has_bf16() const override { return cpu::has_bf16(); }
  bool has_fast_bf16() const override { return cpu::has_fast_bf16(); }
  std::string describe() const override { return instruction_set(); }
  std::string describe_precision() const override {
    if (multiplier() == Multiplier::fp16)
      return "bf16 matrix products, computed in fp16 and added up in f32, f32 for all else: this processor does that "
             "fastest (--precision f32 for f32 throughout)";
    if (cpu::has_fast_bf16())
      return "bf16 matrix products with f32 sums, f32 for all else: this processor multiplies bf16 in hardware "
             "(--precision f32 for f32 throughout)";
    if (cpu::has_bf16())
      return "f32: this processor multiplies bf16 in hardware, but not faster (--precision bf16 to do so)";
    return "f32: this processor does not multiply bf16 in hardware";
  }
  Memory& memory() const override { return host_memory(); }

  std::size_t workspace(const Launch& launch) const override {
    if (launch.spec && is_product(*launch.spec))
      return product_workspace(product_of(launch, machine_code()), disabled_);
    return launch.chain ? chain_workspace(bind_chain(*launch.chain, launch.operands, launch.results), machine_code())
                        : 0;
  }

  Kernel kernel(const Launch& launch) const override {
    const base::ScopedFloatMode flush(base::ScopedFloatMode::without_denormals());  // as in CpuExecutable::run
    const base::ScopedThreads team(base::threads());
    Workspace workspace(launch.workspace);
    if (launch.spec && is_product(*launch.spec))
      return product_kernel(product_of(launch, machine_code()), workspace, disabled_);
    if (launch.spec && launch.chain) base::fail_run("a chain follows a kernel that is not a product");
    Kernel kernel;
    kernel.run = launch.spec ? plain_kernel(launch, communicator_)
                             : chain_kernel(bind_chain(*launch.chain, launch.operands, launch.results), workspace,
                                            machine_code());
    return kernel;
  }

  Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const override {
    Kernel kernel;
    kernel.run = [=] { std::memcpy(to, from, bytes); };
    return kernel;
  }

  std::unique_ptr<Executable> finish(std::vector<Kernel> kernels) const override {
    if (!disabled_.count(kRowPairs)) join_row_products(kernels);
    return std::make_unique<CpuExecutable>(std::move(kernels));
  }

 private:
  bool machine_code() const { return has_machine_code() && !disabled_.count(kMachineCode); }

  std::set<std::string> disabled_;
  Communicator* communicator_;  // null: one rank
};

}  // namespace
}  // namespace cpu

std::shared_ptr<Backend> make_cpu_backend(const std::set<std::string>& disabled, Communicator* communicator) {
  return std::make_shared<cpu::CpuBackend>(disabled, communicator);
}

Backend& default_backend() {
  static const std::shared_ptr<Backend> backend = make_cpu_backend();
  return *backend;
}

std::vector<BackendPart> backend_parts() {
  std::vector<BackendPart> parts;
  for (const cpu::ProductRow& row : cpu::product_rows())
    parts.push_back({std::string(row.name), std::string(row.reason), !row.onednn});
  parts.push_back({kMachineCode, "chains of elementwise ops as machine code, behind products and with sums over rows"});
  parts.push_back({cpu::kRowPairs, "two layers of a single sample in turns"});
  parts.push_back({kCublasLt, "matrix products of a GPU by cuBLASLt; generated kernels take its place"});
  return parts;
}

}  // namespace gan::runtime
