#include <algorithm>
#include <cstring>
#include <set>

#include "base/parallel.h"
#include "runtime/cpu/chain.h"
#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/simd.h"
#include "runtime/memory.h"

namespace gan::runtime::cpu {

namespace {

constexpr auto kBlockElements = static_cast<std::int64_t>(simd::kBlock);
constexpr std::int64_t kAhead = 512;  // prefetch distance in elements

// Copies one block of an operand into a block of scratch, widened to f32 and repeated by its access.
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
      break;  // not in chains of this engine
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

/// One or two operations of a chain, computed by one function (simd::block_function). a, b, c, dst: slots, -1 = none.
struct Step {
  ElementwiseOp op = ElementwiseOp::copy, then = ElementwiseOp::none;
  bool swapped = false;
  float alpha = 0;
  int a = -1, b = -1, c = -1, dst = -1;
};

/// The steps of a chain. An instruction whose result only one later instruction reads is fused with that one, so that
/// the value stays in a register.
std::vector<Step> pair_up(const BoundChain& chain) {
  std::vector<Step> steps;
  std::vector<int> uses;  // of each slot
  const auto at = [](std::vector<int>& of, int r) -> int& {
    if (of.size() <= static_cast<std::size_t>(r)) of.resize(static_cast<std::size_t>(r) + 1, 0);
    return of[static_cast<std::size_t>(r)];
  };
  for (const Instruction& instruction : chain.instructions) {
    ++at(uses, instruction.a);
    if (graph::is_binary(instruction.op)) ++at(uses, instruction.b);
  }
  for (const BoundResult& result : chain.results) ++at(uses, result.source);
  for (const Instruction& i : chain.instructions) {
    Step step{i.op, ElementwiseOp::none, false, i.alpha, i.a, graph::is_binary(i.op) ? i.b : -1, -1, i.dst};
    const auto find_lead = [&](int r) {  // the earlier step that computes slot r for this instruction only
      return std::find_if(steps.begin(), steps.end(), [&](const Step& s) {
        return s.dst == r && s.then == ElementwiseOp::none && row_of(s.op).leads && at(uses, r) == 1;
      });
    };
    if (row_of(i.op).follows) {
      const bool second = find_lead(i.a) == steps.end();
      const auto lead = find_lead(second ? i.b : i.a);
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

/// A chain with an address for each slot: in an operand, in a result, or in scratch.
class BlockRunner {
 public:
  explicit BlockRunner(BoundChain chain) : chain_(std::move(chain)), steps_(pair_up(chain_)) {
    first_result_ = chain_.operands.size() + chain_.constants.size();
    std::size_t slots = first_result_;
    for (const Instruction& instruction : chain_.instructions)
      slots = std::max(slots, static_cast<std::size_t>(instruction.dst) + 1);
    last_use_.assign(slots, -1);
    for (std::size_t i = 0; i < steps_.size(); ++i)
      for (const int source : {steps_[i].a, steps_[i].b, steps_[i].c})
        if (source >= 0) last_use_[static_cast<std::size_t>(source)] = static_cast<int>(i);
    direct_.assign(slots, nullptr);
    std::vector<bool> stored(slots, false);
    for (const BoundResult& result : chain_.results) {
      const auto source = static_cast<std::size_t>(result.source);
      stored[source] = true;
      if (result.dtype == graph::DType::f32 && source >= first_result_ && !direct_[source] &&
          can_compute_in_place(result))
        direct_[source] = static_cast<float*>(result.data);
    }
    place_scratch(stored);
    for (const Step& step : steps_) functions_.push_back(simd::block_function(step.op, step.then, step.swapped));
    for (std::size_t i = 0; i < chain_.operands.size(); ++i) {
      if (is_direct_operand(i)) in_memory_.push_back(static_cast<const float*>(chain_.operands[i].data));
      if (!is_direct_operand(i) && !is_scalar(i)) loaded_.push_back(i);
    }
  }

  void operator()() const {
    base::parallel_for(chain_.elements, kElementwiseGrain,
                       [&](std::int64_t begin, std::int64_t end) { run_range(begin, end); });
  }

 private:
  // Whether a result can be computed in its memory: no later step reads an operand that is stored there, and no other
  // result is a copy of that operand.
  bool can_compute_in_place(const BoundResult& result) const {
    int maker = 0;
    for (std::size_t i = 0; i < steps_.size(); ++i)
      if (steps_[i].dst == result.source) maker = static_cast<int>(i);
    for (std::size_t i = 0; i < chain_.operands.size(); ++i) {
      if (chain_.operands[i].data != result.data) continue;
      if (last_use_[i] > maker) return false;
      for (const BoundResult& other : chain_.results)
        if (static_cast<std::size_t>(other.source) == i) return false;
    }
    return true;
  }

  /// Assigns scratch: simd::kBroadcast floats to constants and scalars, one block to every other slot without memory.
  /// Blocks are reused after the last use of a slot.
  void place_scratch(const std::vector<bool>& stored) {
    scratch_.assign(last_use_.size(), -1);
    std::int64_t next = 0;
    for (std::size_t i = 0; i < first_result_; ++i) {
      if (is_direct_operand(i)) continue;
      scratch_[i] = next;
      next += is_scalar(i) ? static_cast<std::int64_t>(simd::kBroadcast) : kBlockElements;
    }
    std::vector<std::int64_t> unused;
    for (std::size_t i = 0; i < steps_.size(); ++i) {
      const Step& step = steps_[i];
      const auto dst = static_cast<std::size_t>(step.dst);
      for (const int source : std::set<int>{step.a, step.b, step.c}) {
        if (source < 0) continue;
        const auto s = static_cast<std::size_t>(source);
        // Operations work in place, so dst can take the block of an operand that is not read again.
        if (s >= first_result_ && scratch_[s] >= 0 && last_use_[s] == static_cast<int>(i) && !stored[s])
          unused.push_back(scratch_[s]);
      }
      if (direct_[dst]) continue;
      if (unused.empty()) {
        scratch_[dst] = next;
        next += kBlockElements;
      } else {
        scratch_[dst] = unused.back();
        unused.pop_back();
      }
    }
    scratch_size_ = static_cast<std::size_t>(next);
  }

  bool is_direct_operand(std::size_t i) const {
    return i < chain_.operands.size() && chain_.operands[i].access == Access::full &&
           chain_.operands[i].dtype == graph::DType::f32;
  }

  /// Whether a slot is a scalar, the same in all blocks.
  bool is_scalar(std::size_t i) const {
    return i < first_result_ && (i >= chain_.operands.size() || chain_.operands[i].access == Access::scalar);
  }

  void run_range(std::int64_t begin, std::int64_t end) const {
    static thread_local Storage storage;
    if (storage.scratch.size() < scratch_size_ * sizeof(float)) storage.scratch = Buffer(scratch_size_ * sizeof(float));
    auto* const scratch = storage.scratch.as<float>();
    const std::size_t operands = chain_.operands.size();
    for (std::size_t i = 0; i < first_result_; ++i) {
      if (!is_scalar(i)) continue;
      float* place = scratch + scratch_[i];
      if (i < operands)
        load(chain_.operands[i], 0, static_cast<std::int64_t>(simd::kBroadcast), place);
      else
        std::fill_n(place, simd::kBroadcast, chain_.constants[i - operands]);
    }
    // Addresses in memory advance from block to block.
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
      placed.advance_a = moves(step.a) ? kBlockElements : 0;
      placed.advance_b = moves(step.b) ? kBlockElements : 0;
      placed.advance_c = moves(step.c) ? kBlockElements : 0;
      placed.advance_dst = moves(step.dst) ? kBlockElements : 0;
    }

    for (std::int64_t at = begin; at < end; at += kBlockElements) {
      const std::int64_t count = std::min(kBlockElements, end - at);
      for (const std::size_t i : loaded_) load(chain_.operands[i], at, count, scratch + scratch_[i]);
      for (const float* data : in_memory_)
        for (std::int64_t line = 0; line < kBlockElements; line += 16) __builtin_prefetch(data + at + kAhead + line);
      for (Placed& step : steps) {
        step.run(step.operands, static_cast<std::size_t>(count));
        step.operands.a.data += step.advance_a;
        step.operands.b.data += step.advance_b;
        step.operands.c.data += step.advance_c;
        step.operands.dst += step.advance_dst;
      }
      for (const BoundResult& result : chain_.results) store(result, address(result.source, scratch, at), at, count);
    }
  }

  /// The address of a slot for the block at `at`.
  float* address(int slot, float* scratch, std::int64_t at) const {
    const auto r = static_cast<std::size_t>(slot);
    if (is_direct_operand(r)) return const_cast<float*>(static_cast<const float*>(chain_.operands[r].data)) + at;
    return direct_[r] ? direct_[r] + at : scratch + scratch_[r];
  }

  simd::Source source(int slot, float* scratch, std::int64_t at) const {
    if (slot < 0) return {};
    return {address(slot, scratch, at), is_scalar(static_cast<std::size_t>(slot)) ? 0 : ~std::size_t{0}};
  }

  bool moves(int slot) const {
    return slot >= 0 && (is_direct_operand(static_cast<std::size_t>(slot)) || direct_[static_cast<std::size_t>(slot)]);
  }

  /// A step with its addresses, and their advances from block to block, in elements.
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

  struct Storage {
    Buffer scratch;
    std::vector<Placed> steps;
  };

  BoundChain chain_;
  std::vector<Step> steps_;
  std::vector<simd::BlockFunction> functions_;  // of each step
  std::vector<const float*> in_memory_;         // operands that are read in place
  std::vector<std::size_t> loaded_;             // operands that are copied to scratch, block by block
  std::size_t first_result_ = 0;                // slots before it are operands and constants
  std::vector<int> last_use_;                   // of each slot: the last step that reads it
  std::vector<float*> direct_;                  // of each slot: the memory of the result, null if none
  std::vector<std::int64_t> scratch_;           // of each slot: offset of its scratch, -1 = none
  std::size_t scratch_size_ = 0;
};

}  // namespace

std::function<void()> block_engine(BoundChain chain) { return BlockRunner(std::move(chain)); }

}  // namespace gan::runtime::cpu
