// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/tile.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <algorithm>
#include <cstring>
#include <set>

#include "base/error.h"
#include "base/parallel.h"
#include "runtime/kernels.h"

HWY_BEFORE_NAMESPACE();
namespace gan::runtime::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// The loops run over whole vectors: registers are padded, and the last vector of a tensor goes through them.
template <typename Function>
HWY_INLINE void map1(const float* a, float* dst, std::size_t count, const Function& function) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(function(d, hn::LoadU(d, a + i)), d, dst + i);
  if (i < count) {
    HWY_ALIGN float rest[64] = {};
    std::memcpy(rest, a + i, (count - i) * sizeof(float));
    hn::StoreU(function(d, hn::LoadU(d, rest)), d, rest);
    std::memcpy(dst + i, rest, (count - i) * sizeof(float));
  }
}

template <typename Function>
HWY_INLINE void map2(const float* a, const float* b, float* dst, std::size_t count, const Function& function) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::size_t i = 0;
  for (; i + lanes <= count; i += lanes) hn::StoreU(function(d, hn::LoadU(d, a + i), hn::LoadU(d, b + i)), d, dst + i);
  if (i < count) {
    HWY_ALIGN float left[64] = {}, right[64] = {};
    std::memcpy(left, a + i, (count - i) * sizeof(float));
    std::memcpy(right, b + i, (count - i) * sizeof(float));
    hn::StoreU(function(d, hn::LoadU(d, left), hn::LoadU(d, right)), d, left);
    std::memcpy(dst + i, left, (count - i) * sizeof(float));
  }
}

// Minima and maxima of x86 drop a NaN, and so do Highway's exponentials: a diverged run must not look sound.
template <class V>
HWY_INLINE V keep_nan(V x, V y) {
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// Highway's Exp is defined up to 104, which is past where f32 overflows.
template <class D, class V>
HWY_INLINE V exponential(D d, V x) {
  const auto largest = hn::Set(d, 88.72283f);  // log of the largest f32
  return keep_nan(x, hn::IfThenElse(hn::Gt(x, largest), hn::Inf(d), hn::Exp(d, hn::Min(x, largest))));
}

void run_instruction(TileOp op, const float* a, const float* b, float* dst, std::size_t count, float alpha) {
  switch (op) {
    case TileOp::none:
      return;
    case TileOp::copy:
      return void(std::memmove(dst, a, count * sizeof(float)));
    case TileOp::add:
      return map2(a, b, dst, count, [](auto, auto x, auto y) HWY_ATTR { return hn::Add(x, y); });
    case TileOp::sub:
      return map2(a, b, dst, count, [](auto, auto x, auto y) HWY_ATTR { return hn::Sub(x, y); });
    case TileOp::mul:
      return map2(a, b, dst, count, [](auto, auto x, auto y) HWY_ATTR { return hn::Mul(x, y); });
    case TileOp::div:
      return map2(a, b, dst, count, [](auto, auto x, auto y) HWY_ATTR { return hn::Div(x, y); });
    case TileOp::maximum:
      return map2(a, b, dst, count,
                  [](auto, auto x, auto y) HWY_ATTR { return keep_nan(x, keep_nan(y, hn::Max(x, y))); });
    case TileOp::square:
      return map1(a, dst, count, [](auto, auto x) HWY_ATTR { return hn::Mul(x, x); });
    case TileOp::sqrt:
      return map1(a, dst, count, [](auto, auto x) HWY_ATTR { return hn::Sqrt(x); });
    case TileOp::exp:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR { return exponential(d, x); });
    case TileOp::expm1:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR {
        const auto largest = hn::Set(d, 88.72283f);
        return keep_nan(x, hn::IfThenElse(hn::Gt(x, largest), hn::Inf(d), hn::Expm1(d, hn::Min(x, largest))));
      });
    case TileOp::log:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR { return keep_nan(x, hn::Log(d, x)); });
    case TileOp::tanh:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR { return keep_nan(x, hn::Tanh(d, x)); });
    case TileOp::sigmoid:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR {
        const auto one = hn::Set(d, 1.0f);
        return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
      });
    case TileOp::softplus:
      return map1(a, dst, count, [](auto d, auto x) HWY_ATTR {
        // max(x, 0) + log1p(exp(-|x|)) cannot overflow.
        return keep_nan(x, hn::Add(hn::Max(x, hn::Zero(d)), hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(x))))));
      });
    case TileOp::relu:
      return map1(a, dst, count,
                  [](auto d, auto x) HWY_ATTR { return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x); });
    case TileOp::step:
      return map1(a, dst, count,
                  [](auto d, auto x) HWY_ATTR { return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f)); });
    case TileOp::leaky_relu:
      return map1(a, dst, count, [alpha](auto d, auto x) HWY_ATTR {
        return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, hn::Mul(x, hn::Set(d, alpha)));
      });
    case TileOp::leaky_step:
      return map1(a, dst, count, [alpha](auto d, auto x) HWY_ATTR {
        return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f), hn::Set(d, alpha));
      });
  }
}

// Round to nearest even; a NaN stays a NaN.
void round_to_bf16(const float* src, std::uint16_t* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    std::uint32_t bits;
    std::memcpy(&bits, src + i, sizeof bits);
    const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
    const bool nan = (bits & 0x7FFFFFFFu) > 0x7F800000u;
    dst[i] = static_cast<std::uint16_t>(nan ? (bits >> 16) | 0x40u : rounded);
  }
}

void widen_bf16(const std::uint16_t* src, float* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) {
    const std::uint32_t bits = std::uint32_t{src[i]} << 16;
    std::memcpy(dst + i, &bits, sizeof bits);
  }
}

void widen_i32(const std::int32_t* src, float* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] = static_cast<float>(src[i]);
}

// dst += src
void accumulate(const float* src, float* dst, std::size_t count) {
  map2(src, dst, dst, count, [](auto, auto x, auto y) HWY_ATTR { return hn::Add(x, y); });
}

float sum(const float* src, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  auto even = hn::Zero(d), odd = hn::Zero(d);
  std::size_t i = 0;
  for (; i + 2 * lanes <= count; i += 2 * lanes) {
    even = hn::Add(even, hn::LoadU(d, src + i));
    odd = hn::Add(odd, hn::LoadU(d, src + i + lanes));
  }
  float total = hn::GetLane(hn::SumOfLanes(d, hn::Add(even, odd)));
  for (; i < count; ++i) total += src[i];
  return total;
}

}  // namespace gan::runtime::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::runtime {

HWY_EXPORT(run_instruction);
HWY_EXPORT(round_to_bf16);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(widen_i32);
HWY_EXPORT(accumulate);
HWY_EXPORT(sum);

namespace {

constexpr std::int64_t kTile = 512;             // elements: 2 KiB, a dozen registers stay in L1
constexpr std::int64_t kParallelGrain = 16384;  // elements below which a thread is not worth waking
constexpr std::int64_t kSumChunk = 4096;        // partial sums of this length bound the rounding error

// Copies one tile of an operand into a register, widened and repeated as its access says.
template <typename Element, typename Widen>
void load(const TileOperand& operand, std::int64_t begin, std::int64_t count, float* dst, const Widen& widen) {
  const auto* data = static_cast<const Element*>(operand.data);
  switch (operand.access) {
    case Access::full:
      return widen(data + begin, dst, static_cast<std::size_t>(count));
    case Access::scalar: {
      float value;
      widen(data, &value, 1);
      return void(std::fill_n(dst, count, value));
    }
    case Access::row:
      for (std::int64_t done = 0; done < count;) {
        const std::int64_t start = (begin + done) % operand.period;
        const std::int64_t length = std::min(operand.period - start, count - done);
        widen(data + start, dst + done, static_cast<std::size_t>(length));
        done += length;
      }
      return;
    case Access::column:
      for (std::int64_t done = 0; done < count;) {
        const std::int64_t row = (begin + done) / operand.period;
        const std::int64_t length = std::min((row + 1) * operand.period - begin - done, count - done);
        float value;
        widen(data + row, &value, 1);
        std::fill_n(dst + done, length, value);
        done += length;
      }
      return;
    case Access::strided:
      for (std::int64_t i = 0; i < count; ++i)
        widen(data + operand_index(operand, static_cast<std::size_t>(begin + i)), dst + i, 1);
  }
}

void load(const TileOperand& operand, std::int64_t begin, std::int64_t count, float* dst) {
  switch (operand.dtype) {
    case graph::DType::f32:
      return load<float>(operand, begin, count, dst,
                         [](const float* src, float* to, std::size_t n) { std::memcpy(to, src, n * sizeof(float)); });
    case graph::DType::bf16:
      return load<std::uint16_t>(operand, begin, count, dst, [](const std::uint16_t* src, float* to, std::size_t n) {
        HWY_DYNAMIC_DISPATCH(widen_bf16)(src, to, n);
      });
    case graph::DType::i32:
      return load<std::int32_t>(operand, begin, count, dst, [](const std::int32_t* src, float* to, std::size_t n) {
        HWY_DYNAMIC_DISPATCH(widen_i32)(src, to, n);
      });
  }
}

/// A chain with its registers placed: each is a pointer into an operand, into a result, or into scratch.
class TileRunner {
 public:
  explicit TileRunner(TileProgram program) : program_(std::move(program)) {
    const std::size_t first_result = program_.operands.size() + program_.constants.size();
    std::size_t registers = first_result;
    for (const TileInstruction& instruction : program_.instructions)
      registers = std::max(registers, static_cast<std::size_t>(instruction.dst) + 1);
    last_use_.assign(registers, -1);
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      last_use_[static_cast<std::size_t>(program_.instructions[i].a)] = static_cast<int>(i);
      last_use_[static_cast<std::size_t>(program_.instructions[i].b)] = static_cast<int>(i);
    }
    direct_.assign(registers, nullptr);
    std::vector<bool> stored(registers, false);
    for (const TileResult& result : program_.results) {
      const auto source = static_cast<std::size_t>(result.source);
      stored[source] = true;
      if (result.dtype == graph::DType::f32 && source >= first_result && !direct_[source] && may_write_early(result))
        direct_[source] = static_cast<float*>(result.data);
    }
    place_scratch(first_result, stored);
  }

  void operator()() const {
    base::parallel_for(program_.elements, kParallelGrain,
                       [&](std::int64_t begin, std::int64_t end) { run_range(begin, end); });
  }

 private:
  // A result may be written straight to memory unless an instruction after its maker reads the operand it overwrites,
  // or another result is a copy of that operand.
  bool may_write_early(const TileResult& result) const {
    int maker = 0;
    for (std::size_t i = 0; i < program_.instructions.size(); ++i)
      if (program_.instructions[i].dst == result.source) maker = static_cast<int>(i);
    for (std::size_t i = 0; i < program_.operands.size(); ++i) {
      if (program_.operands[i].data != result.data) continue;
      if (last_use_[i] > maker) return false;
      for (const TileResult& other : program_.results)
        if (static_cast<std::size_t>(other.source) == i) return false;
    }
    return true;
  }

  void place_scratch(std::size_t first_result, const std::vector<bool>& stored) {
    scratch_.assign(last_use_.size(), -1);
    int slots = 0;
    for (std::size_t i = 0; i < first_result; ++i)
      if (!is_direct_operand(i)) scratch_[i] = slots++;
    std::vector<int> unused;
    for (std::size_t i = 0; i < program_.instructions.size(); ++i) {
      const TileInstruction& instruction = program_.instructions[i];
      const auto dst = static_cast<std::size_t>(instruction.dst);
      for (int source : std::set<int>{instruction.a, instruction.b}) {
        const auto s = static_cast<std::size_t>(source);
        // Elementwise operations may write where they read, so a register that ends here can be theirs.
        if (s >= first_result && scratch_[s] >= 0 && last_use_[s] == static_cast<int>(i) && !stored[s])
          unused.push_back(scratch_[s]);
      }
      if (direct_[dst]) continue;
      if (unused.empty()) {
        scratch_[dst] = slots++;
      } else {
        scratch_[dst] = unused.back();
        unused.pop_back();
      }
    }
    slots_ = slots;
  }

  bool is_direct_operand(std::size_t i) const {
    return i < program_.operands.size() && program_.operands[i].access == Access::full &&
           program_.operands[i].dtype == graph::DType::f32;
  }

  void run_range(std::int64_t begin, std::int64_t end) const {
    static thread_local AlignedTiles storage;
    float* scratch = storage.reserve(static_cast<std::size_t>(slots_) * kTile);
    std::vector<float*>& registers = storage.registers;
    registers.assign(last_use_.size(), nullptr);
    const std::size_t operands = program_.operands.size();
    for (std::size_t i = 0; i < registers.size(); ++i)
      if (scratch_[i] >= 0) registers[i] = scratch + scratch_[i] * kTile;
    for (std::size_t i = 0; i < program_.constants.size(); ++i)
      std::fill_n(registers[operands + i], kTile, program_.constants[i]);
    for (std::size_t i = 0; i < operands; ++i)
      if (program_.operands[i].access == Access::scalar) load(program_.operands[i], 0, kTile, registers[i]);

    for (std::int64_t at = begin; at < end; at += kTile) {
      const std::int64_t count = std::min(kTile, end - at);
      for (std::size_t i = 0; i < operands; ++i) {
        const TileOperand& operand = program_.operands[i];
        if (is_direct_operand(i))
          registers[i] = const_cast<float*>(static_cast<const float*>(operand.data)) + at;
        else if (operand.access != Access::scalar)
          load(operand, at, count, registers[i]);
      }
      for (std::size_t i = operands; i < registers.size(); ++i)
        if (direct_[i]) registers[i] = direct_[i] + at;
      for (const TileInstruction& step : program_.instructions) HWY_DYNAMIC_DISPATCH(run_instruction)
      (step.op, registers[static_cast<std::size_t>(step.a)], registers[static_cast<std::size_t>(step.b)],
       registers[static_cast<std::size_t>(step.dst)], static_cast<std::size_t>(count), step.alpha);
      for (const TileResult& result : program_.results) store(result, registers, at, count);
    }
  }

  static void store(const TileResult& result, const std::vector<float*>& registers, std::int64_t at,
                    std::int64_t count) {
    const float* source = registers[static_cast<std::size_t>(result.source)];
    if (result.dtype == graph::DType::bf16)
      return HWY_DYNAMIC_DISPATCH(round_to_bf16)(source, static_cast<std::uint16_t*>(result.data) + at,
                                                 static_cast<std::size_t>(count));
    float* dst = static_cast<float*>(result.data) + at;
    if (dst != source) std::memcpy(dst, source, static_cast<std::size_t>(count) * sizeof(float));
  }

  struct AlignedTiles {
    float* reserve(std::size_t floats) {
      if (data.size() < floats + 16) data.resize(floats + 16);
      const auto address = reinterpret_cast<std::uintptr_t>(data.data());
      return data.data() + (64 - address % 64) % 64 / sizeof(float);
    }
    std::vector<float> data;
    std::vector<float*> registers;
  };

  TileProgram program_;
  std::vector<int> last_use_;   // of each register: the last instruction that reads it
  std::vector<float*> direct_;  // of each register: the result it is computed into
  std::vector<int> scratch_;    // of each register: its tile of scratch, -1 = none
  int slots_ = 0;
};

}  // namespace

std::function<void()> tile_kernel(TileProgram program) { return TileRunner(std::move(program)); }

TileOperand broadcast_operand(const graph::Shape& operand, const graph::Shape& result) {
  TileOperand out;
  const std::int64_t elements = graph::element_count(operand);
  if (elements == graph::element_count(result)) return out;
  if (elements == 1) {
    out.access = Access::scalar;
    return out;
  }
  const std::size_t missing = result.size() - operand.size();
  // Where the operand's axes are equal to the result's, and where it is repeated.
  std::size_t first = result.size(), last = 0;
  for (std::size_t axis = 0; axis < result.size(); ++axis) {
    const std::int64_t length = axis < missing ? 1 : operand[axis - missing];
    if (length == 1) continue;
    first = std::min(first, axis);
    last = axis;
  }
  bool contiguous = true;
  std::int64_t after = 1;
  for (std::size_t axis = first; axis <= last; ++axis) contiguous &= operand[axis - missing] == result[axis];
  for (std::size_t axis = last + 1; axis < result.size(); ++axis) after *= result[axis];
  bool leading = true;
  for (std::size_t axis = 0; axis < first; ++axis) leading &= result[axis] == 1;
  if (contiguous && after == 1) {
    out.access = Access::row;
    out.period = elements;
  } else if (contiguous && leading) {
    out.access = Access::column;
    out.period = after;
  } else {
    out.access = Access::strided;
    out.lengths = result;
    out.strides.assign(result.size(), 0);
    std::int64_t stride = 1;
    for (std::size_t axis = result.size(); axis-- > missing;) {
      const std::int64_t length = operand[axis - missing];
      if (length > 1) out.strides[axis] = stride;
      stride *= length;
    }
  }
  return out;
}

std::size_t operand_index(const TileOperand& operand, std::size_t i) {
  const auto period = static_cast<std::size_t>(operand.period);
  switch (operand.access) {
    case Access::full:
      return i;
    case Access::scalar:
      return 0;
    case Access::row:
      return i % period;
    case Access::column:
      return i / period;
    case Access::strided:
      break;
  }
  std::size_t offset = 0;
  for (std::size_t axis = operand.lengths.size(); axis-- > 0;) {
    const auto length = static_cast<std::size_t>(operand.lengths[axis]);
    offset += i % length * static_cast<std::size_t>(operand.strides[axis]);
    i /= length;
  }
  return offset;
}

void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns) {
  const std::int64_t grain = std::max<std::int64_t>(16, kParallelGrain / std::max<std::int64_t>(rows, 1));
  base::parallel_for(columns, grain, [&](std::int64_t begin, std::int64_t end) {
    const auto count = static_cast<std::size_t>(end - begin);
    std::fill(dst + begin, dst + end, 0.0f);
    std::vector<float> chunk(count);
    for (std::int64_t row = 0; row < rows; row += 64) {
      // Chunks of 64 rows keep the rounding error of a long sum low.
      std::fill(chunk.begin(), chunk.end(), 0.0f);
      for (std::int64_t r = row; r < std::min(rows, row + 64); ++r)
        HWY_DYNAMIC_DISPATCH(accumulate)(src + r * columns + begin, chunk.data(), count);
      HWY_DYNAMIC_DISPATCH(accumulate)(chunk.data(), dst + begin, count);
    }
  });
}

void sum_over_columns(const float* src, float* dst, std::int64_t rows, std::int64_t columns) {
  if (rows == 1 && columns > kSumChunk) {
    // One long row: partial sums of fixed length, so that the threads do not change the result.
    const std::int64_t chunks = (columns + kSumChunk - 1) / kSumChunk;
    std::vector<float> partial(static_cast<std::size_t>(chunks));
    base::parallel_for(chunks, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        partial[static_cast<std::size_t>(i)] = HWY_DYNAMIC_DISPATCH(sum)(
            src + i * kSumChunk, static_cast<std::size_t>(std::min(kSumChunk, columns - i * kSumChunk)));
    });
    *dst = HWY_DYNAMIC_DISPATCH(sum)(partial.data(), partial.size());
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, kParallelGrain / std::max<std::int64_t>(columns, 1));
  base::parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      dst[row] = HWY_DYNAMIC_DISPATCH(sum)(src + row * columns, static_cast<std::size_t>(columns));
  });
}

}  // namespace gan::runtime
#endif  // HWY_ONCE
