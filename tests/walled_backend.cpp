#include "walled_backend.h"

#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#include <map>
#include <stdexcept>
#include <utility>

#include "base/bf16.h"
#ifdef GAN_CUDA
#include "cuda/stand_in.h"
#endif
#include "runtime/devices.h"
#include "runtime/profile.h"
#include "runtime/reference/spec.h"

namespace gan::test {

namespace {

using graph::DType;
using runtime::Kernel;
using runtime::Launch;
using runtime::reference::Values;

/// Pages that nobody may touch but while read and write do.
class WalledMemory : public runtime::Memory {
 public:
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override {
    const std::size_t size = std::max<std::size_t>((bytes + 4095) / 4096 * 4096, 4096);
    void* const at = mmap(nullptr, size, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (at == MAP_FAILED) throw std::bad_alloc();
    in_use_ += size;
    return {static_cast<std::byte*>(at), [size, this](std::byte* begin) {
              munmap(begin, size);
              in_use_ -= size;
            }};
  }
  void read(const std::byte* from, void* to, std::size_t bytes) override {
    const Opened opened(from, bytes);
    std::memcpy(to, from, bytes);
  }
  void write(const void* from, std::byte* to, std::size_t bytes) override {
    const Opened opened(to, bytes);
    std::memcpy(to, from, bytes);
  }
  std::size_t in_use() const { return in_use_; }

 private:
  struct Opened {
    Opened(const std::byte* at, std::size_t bytes) {
      const auto address = reinterpret_cast<std::uintptr_t>(at);
      begin = reinterpret_cast<void*>(address / 4096 * 4096);
      size = (address + bytes + 4095) / 4096 * 4096 - address / 4096 * 4096;
      protect(PROT_READ | PROT_WRITE);
    }
    ~Opened() { mprotect(begin, size, PROT_NONE); }
    Opened(const Opened&) = delete;
    Opened& operator=(const Opened&) = delete;
    void protect(int how) const {
      if (mprotect(begin, size, how) != 0) throw std::runtime_error("memory that is not the backend's");
    }
    void* begin;
    std::size_t size;
  };

  std::atomic<std::size_t> in_use_ = 0;
};

WalledMemory& walled_memory() {
  static WalledMemory* const memory = new WalledMemory;  // outlives all that is freed at the end
  return *memory;
}

Values load(const std::byte* at, DType dtype, std::int64_t count) {
  std::vector<std::byte> bytes(static_cast<std::size_t>(count) * size_of(dtype));
  walled_memory().read(at, bytes.data(), bytes.size());
  Values values;
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i) {
    if (dtype == DType::bf16) {
      std::uint16_t bits;
      std::memcpy(&bits, bytes.data() + 2 * i, 2);
      values.push_back(static_cast<double>(base::from_bf16(bits)));
    } else if (dtype == DType::i32) {
      std::int32_t value;
      std::memcpy(&value, bytes.data() + 4 * i, 4);
      values.push_back(value);
    } else {
      float value;
      std::memcpy(&value, bytes.data() + 4 * i, 4);
      values.push_back(static_cast<double>(value));
    }
  }
  return values;
}

void store(const Values& values, std::byte* at, DType dtype) {
  std::vector<std::byte> bytes(values.size() * size_of(dtype));
  for (std::size_t i = 0; i < values.size(); ++i) {
    const auto value = static_cast<float>(values[i]);
    if (dtype == DType::bf16) {
      const std::uint16_t bits = base::to_bf16(value);
      std::memcpy(bytes.data() + 2 * i, &bits, 2);
    } else if (dtype == DType::i32) {
      const auto whole = static_cast<std::int32_t>(values[i]);
      std::memcpy(bytes.data() + 4 * i, &whole, 4);
    } else {
      std::memcpy(bytes.data() + 4 * i, &value, 4);
    }
  }
  walled_memory().write(bytes.data(), at, bytes.size());
}

/// Types and lengths of a spec's inputs, and the type of its result.
struct Signature {
  std::vector<std::pair<DType, std::int64_t>> inputs;
  DType result = DType::f32;
};

struct SignatureOf {
  static constexpr DType f32 = DType::f32, i32 = DType::i32;
  Signature operator()(const graph::Matmul& s) const { return {{{s.operands, s.m * s.k}, {s.operands, s.k * s.n}}}; }
  Signature operator()(const graph::Convolution& s) const {
    return {{{s.operands, graph::element_count(s.a_shape())}, {s.operands, graph::element_count(s.b_shape())}}};
  }
  Signature operator()(const graph::Reduce& s) const { return {{{f32, graph::element_count(s.from)}}}; }
  Signature operator()(const graph::StridedCopy& s) const {
    Signature signature{{}, s.dtype};
    for (const graph::StridedCopy::Part& part : s.parts) {
      std::int64_t last = part.src_offset;
      for (std::size_t axis = 0; axis < part.lengths.size(); ++axis)
        last += (part.lengths[axis] - 1) * part.src_strides[axis];
      signature.inputs.resize(std::max(signature.inputs.size(), part.input + 1));
      auto& [dtype, count] = signature.inputs[part.input];
      dtype = s.dtype;
      count = std::max(count, last + 1);
    }
    return signature;
  }
  Signature operator()(const graph::Gather& s) const {
    return {{{s.dtype, s.rows * s.width}, {i32, s.count}}, s.dtype};
  }
  Signature operator()(const graph::ScatterAdd& s) const { return {{{f32, s.count * s.width}, {i32, s.count}}}; }
  Signature operator()(const graph::OneHot& s) const { return {{{i32, s.count}}}; }
  Signature operator()(const graph::Random& s) const {
    Signature signature{{{i32, 2}, {i32, 1}}};
    if (s.by_part) signature.inputs.emplace_back(i32, 1);
    return signature;
  }
  Signature operator()(const graph::ShiftImages& s) const {
    return {{{f32, graph::element_count(s.images)}, {f32, 2 * s.images[0]}}};
  }
  Signature operator()(const graph::CutoutMask& s) const { return {{{f32, 2 * s.count}}}; }
  Signature operator()(const graph::AllReduce& s) const {
    Signature signature;
    for (const std::int64_t count : s.counts) signature.inputs.emplace_back(f32, count);
    return signature;
  }
};

/// Elements of an operand of a chain.
std::int64_t length_of(const graph::ChainOperand& operand, std::int64_t elements) {
  std::int64_t last = 0;
  for (std::int64_t i = 0; i < elements; ++i)
    last = std::max(last, static_cast<std::int64_t>(operand_index(operand, static_cast<std::size_t>(i))));
  return last + 1;
}

/// Adds up the parts and ranks of an all_reduce, of which `values` are this one's.
void add_up(const graph::AllReduce& sum, const std::byte* dst, runtime::Communicator& communicator, Values& values) {
  if (sum.add) std::ranges::transform(load(dst, DType::f32, std::ssize(values)), values, values.begin(), std::plus());
  if (!sum.exchange) return;
  std::vector<float> exchanged(values.begin(), values.end());
  communicator.all_reduce(exchanged);
  values.assign(exchanged.begin(), exchanged.end());
}

void run(const Launch& launch, runtime::Communicator& communicator) {
  Values product;
  Signature signature;
  if (launch.spec) {
    signature = std::visit(SignatureOf(), *launch.spec);
    std::vector<Values> inputs;
    for (std::size_t i = 0; i < signature.inputs.size(); ++i)
      inputs.push_back(load(launch.inputs[i], signature.inputs[i].first, signature.inputs[i].second));
    product = runtime::reference::evaluate(*launch.spec, inputs);
    if (const auto* sum = std::get_if<graph::AllReduce>(&*launch.spec))
      add_up(*sum, launch.results[0], communicator, product);
  }
  if (!launch.chain) return store(product, launch.results[0], signature.result);
  std::vector<Values> operands;
  for (std::size_t i = 0; i < launch.chain->operands.size(); ++i) {
    const graph::ChainOperand& operand = launch.chain->operands[i];
    operands.push_back(operand.access == graph::Access::product
                           ? product
                           : load(launch.operands[i], operand.dtype, length_of(operand, launch.chain->elements)));
  }
  const std::vector<Values> results = runtime::reference::evaluate(*launch.chain, operands);
  for (std::size_t i = 0; i < results.size(); ++i) store(results[i], launch.results[i], launch.chain->results[i].dtype);
}

class WalledExecutable : public runtime::Executable {
 public:
  using Executable::Executable;
  void run(runtime::Profile* profile) override {
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      const auto start = runtime::Profile::Clock::now();
      kernels_[i].run();
      if (profile) profile->record(i, kernels_[i], start, runtime::Profile::Clock::now());
    }
  }
};

class WalledBackend : public runtime::Backend {
 public:
  explicit WalledBackend(graph::Target target, runtime::Communicator& communicator = runtime::one_rank())
      : target_(std::move(target)), communicator_(communicator) {}

  graph::Target target() const override { return target_; }
  bool has_bf16() const override { return true; }
  bool has_fast_bf16() const override { return false; }
  std::string describe() const override { return target_.name; }
  std::string describe_precision() const override { return "f32"; }
  runtime::Memory& memory() const override { return walled_memory(); }
  std::size_t workspace(const Launch&) const override { return 0; }
  Kernel kernel(const Launch& launch) const override {
    Kernel kernel;
    kernel.run = [launch, this] { test::run(launch, communicator_); };
    return kernel;
  }
  Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const override {
    Kernel kernel;
    kernel.run = [=] {
      std::vector<std::byte> between(bytes);
      walled_memory().read(from, between.data(), bytes);
      walled_memory().write(between.data(), to, bytes);
    };
    return kernel;
  }
  std::unique_ptr<runtime::Executable> finish(std::vector<Kernel> kernels) const override {
    return std::make_unique<WalledExecutable>(std::move(kernels));
  }

 private:
  graph::Target target_;
  runtime::Communicator& communicator_;
};

graph::Target plain_target() { return {.name = "walled", .longest_epilogue = 0}; }

}  // namespace

runtime::Backend& walled_backend() {
  static WalledBackend backend(plain_target());
  return backend;
}

std::size_t walled_bytes() { return walled_memory().in_use(); }

std::vector<std::shared_ptr<runtime::Backend>> backends_of_rank(runtime::Communicator& communicator) {
  return {runtime::make_cpu_backend({}, &communicator), std::make_shared<WalledBackend>(plain_target(), communicator),
#ifdef GAN_NCCL
          make_stand_in_backend(communicator)
#endif
  };
}

runtime::Backend& walled_backend_with_chains() {
  static WalledBackend backend({.name = "walled, with chains",
                                .epilogue_wants_transposed_b = false,
                                .bf16_products_run_chains = true,
                                .chains_sum_rows = true,
                                .shortest_summed_row = 1});
  return backend;
}

std::vector<const runtime::Backend*> all_backends() {
  if (const char* const device = std::getenv("GAN_TEST_DEVICE")) {
    const char* const cache = std::getenv("GAN_TEST_CACHE");
    const runtime::Backend* const backend = runtime::choose_device(device, cache ? cache : "");
    if (!backend) return {&runtime::default_backend()};
    return {&runtime::default_backend(), backend};
  }
  return {&runtime::default_backend(), &walled_backend(), &walled_backend_with_chains(),
#ifdef GAN_CUDA
          &stand_in_backend()
#endif
  };
}

}  // namespace gan::test
