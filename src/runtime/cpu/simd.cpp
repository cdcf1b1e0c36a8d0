// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/simd.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include <hwy/contrib/math/math-inl.h>

#include <cstring>
#include <utility>

#include "base/bf16.h"
#include "runtime/cpu/elementwise.h"
#include "runtime/cpu/simd.h"
#include "runtime/cpu/tanh.h"

HWY_BEFORE_NAMESPACE();
namespace gan::runtime::cpu::simd::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Returns x if it is a NaN, else y. Minima and maxima of x86 and the exponentials of Highway may lose a NaN, which
// would hide a diverged run.
template <class V>
HWY_INLINE V keep_nan(V x, V y) {
  return hn::IfThenElse(hn::IsNaN(x), x, y);
}

// exp or expm1. Those of Highway are defined up to 104; f32 overflows at 88.7.
template <class D, class V, class Function>
HWY_INLINE V exponential(D d, V x, const Function& function) {
  const auto largest = hn::Set(d, 88.72283f);  // log of the largest f32
  return keep_nan(x, hn::IfThenElse(hn::Gt(x, largest), hn::Inf(d), function(d, hn::Min(x, largest))));
}
template <class D, class V>
HWY_INLINE V exponential(D d, V x) {
  return exponential(d, x, [](D tag, V y) { return hn::Exp(tag, y); });
}

template <class D, class V, std::size_t count>
HWY_INLINE V polynomial(D d, V x, const float (&coefficients)[count]) {
  V sum = hn::Set(d, coefficients[0]);
  for (std::size_t i = 1; i < count; ++i) sum = hn::MulAdd(sum, x, hn::Set(d, coefficients[i]));
  return sum;
}

// The same instructions as in machine_code.cpp. Rounding can take the quotient above 1, so it is clamped.
template <class D, class V>
HWY_INLINE V hyperbolic_tangent(D d, V x) {
  const auto one = hn::Set(d, 1.0f), limit = hn::Set(d, kTanhLimit);
  const auto within = hn::Clamp(x, hn::Neg(limit), limit), square = hn::Mul(within, within);
  const auto numerator = hn::Mul(within, polynomial(d, square, kTanhNumerator));
  return keep_nan(x, hn::Clamp(hn::Div(numerator, polynomial(d, square, kTanhDenominator)), hn::Neg(one), one));
}

// op(x, y); ops with one operand ignore y.
template <ElementwiseOp op, class D, class V>
HWY_INLINE V apply(D d, V x, V y, float alpha) {
  if constexpr (op == ElementwiseOp::add) return hn::Add(x, y);
  if constexpr (op == ElementwiseOp::sub) return hn::Sub(x, y);
  if constexpr (op == ElementwiseOp::mul) return hn::Mul(x, y);
  if constexpr (op == ElementwiseOp::div) return hn::Div(x, y);
  if constexpr (op == ElementwiseOp::maximum) return keep_nan(x, keep_nan(y, hn::Max(x, y)));
  if constexpr (op == ElementwiseOp::square) return hn::Mul(x, x);
  if constexpr (op == ElementwiseOp::sqrt) return hn::Sqrt(x);
  if constexpr (op == ElementwiseOp::exp) return exponential(d, x);
  if constexpr (op == ElementwiseOp::expm1) return exponential(d, x, [](D tag, V z) { return hn::Expm1(tag, z); });
  if constexpr (op == ElementwiseOp::log) return keep_nan(x, hn::Log(d, x));
  if constexpr (op == ElementwiseOp::tanh) return hyperbolic_tangent(d, x);
  if constexpr (op == ElementwiseOp::sigmoid) {
    const auto one = hn::Set(d, 1.0f);
    return hn::Div(one, hn::Add(one, exponential(d, hn::Neg(x))));
  }
  if constexpr (op == ElementwiseOp::softplus)  // max(x, 0) + log1p(exp(-|x|)) cannot overflow
    return keep_nan(x, hn::Add(hn::Max(x, hn::Zero(d)), hn::Log1p(d, hn::Exp(d, hn::Neg(hn::Abs(x))))));
  if constexpr (op == ElementwiseOp::relu) return hn::IfThenElse(hn::Lt(x, hn::Zero(d)), hn::Zero(d), x);
  if constexpr (op == ElementwiseOp::step) return hn::IfThenElseZero(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f));
  if constexpr (op == ElementwiseOp::leaky_relu)
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), x, hn::Mul(x, hn::Set(d, alpha)));
  if constexpr (op == ElementwiseOp::leaky_step)
    return hn::IfThenElse(hn::Gt(x, hn::Zero(d)), hn::Set(d, 1.0f), hn::Set(d, alpha));
  return x;  // copy, none
}

template <ElementwiseOp op, ElementwiseOp then, bool swapped>
void run(const Operands& operands, std::size_t count) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  const auto value = [&](auto x, auto y, auto z) HWY_ATTR {
    const auto first = apply<op>(d, x, y, operands.alpha);
    return swapped ? apply<then>(d, z, first, 0.0f) : apply<then>(d, first, z, 0.0f);
  };
  const Source a = operands.a, b = operands.b, c = operands.c;
  float* dst = operands.dst;
  const auto vector_at = [&](std::size_t i) HWY_ATTR {
    hn::StoreU(value(hn::LoadU(d, a.data + (i & a.mask)), hn::LoadU(d, b.data + (i & b.mask)),
                     hn::LoadU(d, c.data + (i & c.mask))),
               d, dst + i);
  };
  std::size_t i = 0;
  if (count == kBlock) {
    for (; i < kBlock; i += lanes) vector_at(i);
    return;
  }
  for (; i + lanes <= count; i += lanes) vector_at(i);
  if (i == count) return;
  // The last, partial vector goes through copies, because nothing beyond `count` may be read or written.
  const std::size_t rest = (count - i) * sizeof(float);
  HWY_ALIGN float x[kBroadcast] = {}, y[kBroadcast] = {}, z[kBroadcast] = {};
  const auto read = [&](const Source& source, float* to) { std::memcpy(to, source.data + (i & source.mask), rest); };
  read(a, x);
  read(b, y);
  read(c, z);
  hn::StoreU(value(hn::Load(d, x), hn::Load(d, y), hn::Load(d, z)), d, x);
  std::memcpy(dst + i, x, rest);
}

template <ElementwiseOp op>
BlockFunction with_follower(ElementwiseOp then, bool swapped) {
  if constexpr (row_of(op).leads) {
    if (then == ElementwiseOp::add) return run<op, ElementwiseOp::add, false>;
    if (then == ElementwiseOp::mul) return run<op, ElementwiseOp::mul, false>;
    if (then == ElementwiseOp::sub)
      return swapped ? run<op, ElementwiseOp::sub, true> : run<op, ElementwiseOp::sub, false>;
    if (then == ElementwiseOp::div)
      return swapped ? run<op, ElementwiseOp::div, true> : run<op, ElementwiseOp::div, false>;
  }
  return then == ElementwiseOp::none ? run<op, ElementwiseOp::none, false> : nullptr;
}

// Calls with_follower for `op`, which is known at run time only.
template <std::size_t... i>
BlockFunction find_among(std::index_sequence<i...>, ElementwiseOp op, ElementwiseOp then, bool swapped) {
  BlockFunction found = nullptr;
  ((op == static_cast<ElementwiseOp>(i) ? void(found = with_follower<static_cast<ElementwiseOp>(i)>(then, swapped))
                                        : void()),
   ...);
  return found;
}

BlockFunction find(ElementwiseOp op, ElementwiseOp then, bool swapped) {
  constexpr auto kOps = static_cast<std::size_t>(graph::kLastElementwiseOp) + 1;
  return find_among(std::make_index_sequence<kOps>(), op, then, swapped);
}

// Plain loops that the compiler vectorizes for each instruction set.
void round_to_bf16(const float* src, std::uint16_t* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] = base::to_bf16(src[i]);
}

void widen_bf16(const std::uint16_t* src, float* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] = base::from_bf16(src[i]);
}

void widen_i32(const std::int32_t* src, float* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] = static_cast<float>(src[i]);
}

void add_to(const float* src, float* dst, std::size_t count) {
  for (std::size_t i = 0; i < count; ++i) dst[i] += src[i];
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

}  // namespace gan::runtime::cpu::simd::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::runtime::cpu::simd {

HWY_EXPORT(find);
HWY_EXPORT(round_to_bf16);
HWY_EXPORT(widen_bf16);
HWY_EXPORT(widen_i32);
HWY_EXPORT(add_to);
HWY_EXPORT(sum);

BlockFunction block_function(ElementwiseOp op, ElementwiseOp then, bool swapped) {
  return HWY_DYNAMIC_DISPATCH(find)(op, then, swapped);
}

void round_to_bf16(const float* src, std::uint16_t* dst, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(round_to_bf16)(src, dst, count);
}

void widen(const std::uint16_t* bf16, float* dst, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(widen_bf16)(bf16, dst, count);
}

void widen(const std::int32_t* src, float* dst, std::size_t count) { HWY_DYNAMIC_DISPATCH(widen_i32)(src, dst, count); }

void widen(const float* src, float* dst, std::size_t count) { std::memcpy(dst, src, count * sizeof(float)); }

void accumulate(const float* src, float* dst, std::size_t count) { HWY_DYNAMIC_DISPATCH(add_to)(src, dst, count); }

float sum(const float* src, std::size_t count) { return HWY_DYNAMIC_DISPATCH(sum)(src, count); }

}  // namespace gan::runtime::cpu::simd
#endif  // HWY_ONCE
