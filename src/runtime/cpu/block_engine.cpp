#include <algorithm>
#include <cstring>
#include <set>

#include "base/parallel.h"
#include "runtime/cpu/chain.h"
#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/simd.h"

namespace gan::runtime::cpu {

namespace {

constexpr auto kBlock = static_cast<std::int64_t>(simd::kBlock);
constexpr std::int64_t kAhead = 512;  // elements that memory is asked for before they are wanted

// Copies one block of an operand into a register, widened and repeated as its access says.
template <typename Element>
void load(const BoundOperand& operand, std::int64_t begin, std::int64_t count, float* dst) {
  const auto* data = static_cast<const Element*>(operand.data);
  switch (operand.access) {
    case Access::full:
      return simd::widen(data + begin, dst, static_cast<std::size_t>(count));
    case Access::scalar: {
      float value;
      simd::widen(data, &value, 1);
      return void(std::fill_n(dst, count, value));
    }
    case Access::row:
      for (std::int64_t done = 0; done < count;) {
        const std::int64_t start = (begin + done) % operand.period;
        const std::int64_t length = std::min(operand.period - start, count - done);
        simd::widen(data + start, dst + done, static_cast<std::size_t>(length));
        done += length;
      }
      return;
    case Access::column:
      for (std::int64_t done = 0; done < count;) {
        const std::int64_t row = (begin + done) / operand.period;
        const std::int64_t length = std::min((row + 1) * operand.period - begin - done, count - done);
        float value;
        simd::widen(data + row, &value, 1);
        std::fill_n(dst + done, length, value);
        done += length;
      }
      return;
    case Access::product:
    case Access::sum:
      break;  // of chains that run piece by piece
    case Access::strided:
      for (std::int64_t i = 0; i < count; ++i)
        simd::widen(data + operand_index(operand, static_cast<std::size_t>(begin + i)), dst + i, 1);
  }
}

void load(const BoundOperand& operand, std::int64_t begin, std::int64_t count, float* dst) {
  switch (operand.dtype) {
    case graph::DType::f32:
      return load<float>(operand, begin, count, dst);
    case graph::DType::bf16:
      return load<std::uint16_t>(operand, begin, count, dst);
    case graph::DType::i32:
      return load<std::int32_t>(operand, begin, count, dst);
  }
}

/// One or two operations of a chain, as simd::block_function has them; a, b, c and dst are registers, -1 = none.
struct Step {
  ElementwiseOp op = ElementwiseOp::copy, then = ElementwiseOp::none;
  bool swapped = false;
  float alpha = 0;
  int a = -1, b = -1, c = -1, dst = -1;

  bool reads(int r) const { return a == r || b == r || c == r; }
};

/// Instructions as steps: one whose result a single later one reads, and nobody stores, shares its step, so that the
/// value between them stays in a processor register.
std::vector<Step> pair_up(const BoundChain& program) {
  std::vector<Step> steps;
  std::vector<int> uses;  // of each register
  const auto at = [](std::vector<int>& of, int r) -> int& {
    if (of.size() <= static_cast<std::size_t>(r)) of.resize(static_cast<std::size_t>(r) + 1, 0);
    return of[static_cast<std::size_t>(r)];
  };
  for (const Instruction& instruction : program.instructions) {
    ++at(uses, instruction.a);
    if (graph::is_binary(instruction.op)) ++at(uses, instruction.b);
  }
  for (const BoundResult& result : program.results) ++at(uses, result.source);
  for (const Instruction& i : program.instructions) {
    Step step{i.op, ElementwiseOp::none, false, i.alpha, i.a, graph::is_binary(i.op) ? i.b : -1, -1, i.dst};
    const auto partner = [&](int r) {  // the step before that makes r for this one alone
      return std::find_if(steps.begin(), steps.end(), [&](const Step& s) {
        return s.dst == r && s.then == ElementwiseOp::none && row_of(s.op).leads && at(uses, r) == 1;
      });
    };
    if (row_of(i.op).follows) {
      const bool second = partner(i.a) == steps.end();
      const auto lead = partner(second ? i.b : i.a);
      if (lead != steps.end()) {
        step = *lead;
        step.then = i.op;
        step.swapped = second;
        step.c = second ? i.a : i.b;
        step.dst = i.dst;
        steps.erase(lead);
      }
    }
    steps.push_back(step);
  }
  return steps;
}

/// A chain with its registers placed: each is a pointer into an operand, into a result, or into scratch.
class BlockRunner {
 public:
  explicit BlockRunner(BoundChain program) : program_(std::move(program)), steps_(pair_up(program_)) {
    first_result_ = program_.operands.size() + program_.constants.size();
    std::size_t registers = first_result_;
    for (const Instruction& instruction : program_.instructions)
      registers = std::max(registers, static_cast<std::size_t>(instruction.dst) + 1);
    last_use_.assign(registers, -1);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (const int source : {steps_[i].a, steps_[i].b, steps_[i].c})
        if (source >= 0) last_use_[static_cast<std::size_t>(source)] = static_cast<int>(i);
    direct_.assign(registers, nullptr);
    std::vector<bool> stored(registers, false);
    for (const BoundResult& result : program_.results) {
      const auto source = static_cast<std::size_t>(result.source);
      stored[source] = true;
      if (result.dtype == graph::DType::f32 && source >= first_result_ && !direct_[source] && may_write_early(result))
        direct_[source] = static_cast<float*>(result.data);
    }
    place_scratch(stored);
    for (const Step& step : steps_) functions_.push_back(simd::block_function(step.op, step.then, step.swapped));
    for (std::size_t i = 0; i < program_.operands.size(); ++i) {
      if (is_direct_operand(i)) in_memory_.push_back(static_cast<const float*>(program_.operands[i].data));
      if (!is_direct_operand(i) && !is_single(i)) loaded_.push_back(i);
    }
  }

  void operator()() const {
    base::parallel_for(program_.elements, kElementwiseGrain,
                       [&](std::int64_t begin, std::int64_t end) { run_range(begin, end); });
  }

 private:
  // A result may be written straight to memory unless a step after its maker reads the operand it overwrites, or
  // another result is a copy of that operand.
  bool may_write_early(const BoundResult& result) const {
    int maker = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].dst == result.source) maker = static_cast<int>(i);
    for (std::size_t i = 0; i < program_.operands.size(); ++i) {
      if (program_.operands[i].data != result.data) continue;
      if (last_use_[i] > maker) return false;
      for (const BoundResult& other : program_.results)
        if (static_cast<std::size_t>(other.source) == i) return false;
    }
    return true;
  }

  /// Constants and single numbers take simd::kBroadcast floats of scratch, other registers that have no place in memory
  /// a block, as soon as one is free.
  void place_scratch(const std::vector<bool>& stored) {
    scratch_.assign(last_use_.size(), -1);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < first_result_; ++i) {
      if (is_direct_operand(i)) continue;
      scratch_[i] = next;
      next += is_single(i) ? static_cast<std::int64_t>(simd::kBroadcast) : kBlock;
    }
    std::vector<std::int64_t> unused;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      const auto dst = static_cast<std::size_t>(step.dst);
      for (const int source : std::set<int>{step.a, step.b, step.c}) {
        if (source < 0) continue;
        const auto s = static_cast<std::size_t>(source);
        // Elementwise operations may write where they read, so a register that ends here can be theirs.
        if (s >= first_result_ && scratch_[s] >= 0 && last_use_[s] == static_cast<int>(i) && !stored[s])
          unused.push_back(scratch_[s]);
      }
      if (direct_[dst]) continue;
      if (unused.empty()) {
        scratch_[dst] = next;
        next += kBlock;
      } else {
        scratch_[dst] = unused.back();
        unused.pop_back();
      }
    }
    scratch_size_ = static_cast<std::size_t>(next);
  }

  bool is_direct_operand(std::size_t i) const {
    return i < program_.operands.size() && program_.operands[i].access == Access::full &&
           program_.operands[i].dtype == graph::DType::f32;
  }

  /// Whether a register holds one number, the same in all blocks.
  bool is_single(std::size_t i) const {
    return i < first_result_ && (i >= program_.operands.size() || program_.operands[i].access == Access::scalar);
  }

  void run_range(std::int64_t begin, std::int64_t end) const {
    static thread_local AlignedBlocks storage;
    float* scratch = storage.reserve(scratch_size_);
    const std::size_t operands = program_.operands.size();
    for (std::size_t i = 0; i < first_result_; ++i) {
      if (!is_single(i)) continue;
      float* place = scratch + scratch_[i];
      if (i < operands)
        load(program_.operands[i], 0, static_cast<std::int64_t>(simd::kBroadcast), place);
      else
        std::fill_n(place, simd::kBroadcast, program_.constants[i - operands]);
    }
    // Registers as addresses; those in memory move on with the blocks.
    std::vector<Placed>& steps = storage.steps;
    steps.resize(steps_.size());
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      Placed& placed = steps[i];
      placed.run = functions_[i];
      placed.operands.alpha = step.alpha;
      placed.operands.a = source(step.a, scratch, begin);
      placed.operands.b = source(step.b, scratch, begin);
      placed.operands.c = source(step.c, scratch, begin);
      placed.operands.dst = address(step.dst, scratch, begin);
      placed.advance_a = moves(step.a) ? kBlock : 0;
      placed.advance_b = moves(step.b) ? kBlock : 0;
      placed.advance_c = moves(step.c) ? kBlock : 0;
      placed.advance_dst = moves(step.dst) ? kBlock : 0;
    }

    for (std::int64_t at = begin; at < end; at += kBlock) {
      const std::int64_t count = std::min(kBlock, end - at);
      for (const std::size_t i : loaded_) load(program_.operands[i], at, count, scratch + scratch_[i]);
      for (const float* data : in_memory_)
        for (std::int64_t line = 0; line < kBlock; line += 16) __builtin_prefetch(data + at + kAhead + line);
      for (Placed& step : steps) {
        step.run(step.operands, static_cast<std::size_t>(count));
        step.operands.a.data += step.advance_a;
        step.operands.b.data += step.advance_b;
        step.operands.c.data += step.advance_c;
        step.operands.dst += step.advance_dst;
      }
      for (const BoundResult& result : program_.results) store(result, address(result.source, scratch, at), at, count);
    }
  }

  /// Where a register is while the block at `at` is computed.
  float* address(int number, float* scratch, std::int64_t at) const {
    const auto r = static_cast<std::size_t>(number);
    if (is_direct_operand(r)) return const_cast<float*>(static_cast<const float*>(program_.operands[r].data)) + at;
    return direct_[r] ? direct_[r] + at : scratch + scratch_[r];
  }

  simd::Source source(int number, float* scratch, std::int64_t at) const {
    if (number < 0) return {};
    return {address(number, scratch, at), is_single(static_cast<std::size_t>(number)) ? 0 : ~std::size_t{0}};
  }

  bool moves(int number) const {
    return number >= 0 &&
           (is_direct_operand(static_cast<std::size_t>(number)) || direct_[static_cast<std::size_t>(number)]);
  }

  /// A step with its addresses, and how far each moves from block to block.
  struct Placed {
    simd::BlockFunction run = nullptr;
    simd::Operands operands;
    std::int64_t advance_a = 0, advance_b = 0, advance_c = 0, advance_dst = 0;
  };

  static void store(const BoundResult& result, const float* source, std::int64_t at, std::int64_t count) {
    if (result.dtype == graph::DType::bf16)
      return simd::round_to_bf16(source, static_cast<std::uint16_t*>(result.data) + at,
                                 static_cast<std::size_t>(count));
    float* dst = static_cast<float*>(result.data) + at;
    if (dst != source) std::memcpy(dst, source, static_cast<std::size_t>(count) * sizeof(float));
  }

  struct AlignedBlocks {
    float* reserve(std::size_t floats) {
      if (data.size() < floats + 16) data.resize(floats + 16);
      const auto address = reinterpret_cast<std::uintptr_t>(data.data());
      return data.data() + (64 - address % 64) % 64 / sizeof(float);
    }
    std::vector<float> data;
    std::vector<Placed> steps;
  };

  BoundChain program_;
  std::vector<Step> steps_;
  std::vector<simd::BlockFunction> functions_;  // of each step
  std::vector<const float*> in_memory_;         // operands that are read where they are
  std::vector<std::size_t> loaded_;             // operands that are copied into registers, block by block
  std::size_t first_result_ = 0;                // registers before it are operands and constants
  std::vector<int> last_use_;                   // of each register: the last step that reads it
  std::vector<float*> direct_;                  // of each register: the result it is computed into
  std::vector<std::int64_t> scratch_;           // of each register: where its scratch begins, -1 = none
  std::size_t scratch_size_ = 0;
};

}  // namespace

std::function<void()> block_engine(BoundChain program) { return BlockRunner(std::move(program)); }

}  // namespace gan::runtime::cpu
