// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#define HWY_WANT_AVX3_DL  // adds a target with VNNI: one instruction instead of two
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/row_product.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>
#include <utility>

#include "base/integer.h"
#include "base/parallel.h"
#include "runtime/cpu/chain.h"
#include "runtime/cpu/row_product.h"
#include "runtime/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace gan::runtime::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Sums of kDepth products of a weight and a digit fit into 32 bits: 128 * 32767 * 511 < 2^31.
constexpr float kLargestDigit = 511, kBase = 2 * kLargestDigit;

#if HWY_TARGET == HWY_SCALAR
// Not used without vectors: RowProduct::applies is false.
std::size_t group_size() { return 0; }
float split_digits(const float*, std::size_t, std::int16_t*, std::int16_t*) { return 0; }
void multiply_block(const std::int16_t*, const std::int16_t*, std::size_t, const std::int16_t*, const std::int16_t*,
                    std::size_t, float, float*) {}
#else
// Adds the two products of each 32-bit lane to `sum` (or, depending on the target, partly to `other`).
template <class V32, class V16>
HWY_INLINE void add_products(V16 a, V16 b, V32& sum, V32& other) {
#if HWY_TARGET == HWY_AVX3_DL
  (void)other;
  asm("vpdpwssd %2, %1, %0" : "+v"(sum.raw) : "v"(a.raw), "v"(b.raw));
#else
  sum = hn::ReorderWidenMulAccumulate(hn::DFromV<V32>(), a, b, sum, other);
#endif
}

std::size_t group_size() { return hn::Lanes(hn::ScalableTag<std::int32_t>()); }

// Splits each element into two digits, x = factor (kBase high + low), of magnitudes up to kLargestDigit. Returns the
// factor, which is NaN if an element is not finite. Reads x up to a multiple of the vector size.
float split_digits(const float* x, std::size_t count, std::int16_t* high, std::int16_t* low) {
  const hn::ScalableTag<float> d;
  const hn::Rebind<std::int16_t, decltype(d)> narrow;
  const std::size_t lanes = hn::Lanes(d);
  auto largest = hn::Zero(d), odd = hn::Zero(d);
  for (std::size_t i = 0; i < count; i += lanes) {
    const auto value = hn::Load(d, x + i);
    largest = hn::Max(largest, hn::Abs(value));
    odd = hn::MulAdd(value, hn::Zero(d), odd);
  }
  const float range = hn::GetLane(hn::MaxOfLanes(d, largest)), zero = hn::GetLane(hn::SumOfLanes(d, odd));
  // Below the smallest the inverse would overflow.
  const float inverse = zero == 0 && range > 1e-30f ? kLargestDigit / range : 0;
  for (std::size_t i = 0; i < count; i += lanes) {
    const auto value = hn::Mul(hn::Load(d, x + i), hn::Set(d, inverse));
    const auto whole = hn::NearestInt(value);
    const auto rest = hn::Mul(hn::Sub(value, hn::ConvertTo(d, whole)), hn::Set(d, kBase));
    hn::Store(hn::DemoteTo(narrow, whole), narrow, high + i);
    hn::Store(hn::DemoteTo(narrow, hn::NearestInt(rest)), narrow, low + i);
  }
  return range / (kLargestDigit * kBase) + zero;
}

// sums[i] = factor * (sum over depth of w[i, depth] (kBase high + low)) for the outputs of kGroups vectors. Prefetches
// the block at `next`, if there is one.
template <std::size_t kGroups>
HWY_INLINE void multiply_groups(const std::int16_t* w, const std::int16_t* next, const std::int16_t* high,
                                const std::int16_t* low, std::size_t depth, float factor, float* sums) {
  const hn::ScalableTag<std::int32_t> d;
  const hn::ScalableTag<float> df;
  const hn::Repartition<std::int16_t, decltype(d)> d16;
  const std::size_t lanes = hn::Lanes(d);
  auto h0 = hn::Zero(d), h1 = h0, h2 = h0, h3 = h0, l0 = h0, l1 = h0, l2 = h0, l3 = h0;
  auto ho0 = h0, ho1 = h0, ho2 = h0, ho3 = h0, lo0 = h0, lo1 = h0, lo2 = h0, lo3 = h0;  // not used on x86
  const auto pair = [&](const std::int16_t* digits) {
    std::int32_t both;
    std::memcpy(&both, digits, sizeof both);
    return hn::BitCast(d16, hn::Set(d, both));
  };
  for (std::size_t i = 0; i < depth; i += 2) {
    const std::int16_t* row = w + i * kGroups * lanes;
    for (std::size_t g = 0; g < kGroups && next; ++g) __builtin_prefetch(next + (i * kGroups + 2 * g) * lanes);
    const auto high_pair = pair(high + i), low_pair = pair(low + i);
    const auto add = [&](std::size_t g, auto& h, auto& ho, auto& l, auto& lo) {
      if (g >= kGroups) return;
      const auto weights = hn::Load(d16, row + 2 * g * lanes);
      add_products(weights, high_pair, h, ho);
      add_products(weights, low_pair, l, lo);
    };
    add(0, h0, ho0, l0, lo0);
    add(1, h1, ho1, l1, lo1);
    add(2, h2, ho2, l2, lo2);
    add(3, h3, ho3, l3, lo3);
  }
  const auto store = [&](std::size_t g, auto h, auto ho, auto l, auto lo) {
    if (g >= kGroups) return;
    const auto high_sum = hn::ConvertTo(df, hn::RearrangeToOddPlusEven(h, ho));
    const auto low_sum = hn::ConvertTo(df, hn::RearrangeToOddPlusEven(l, lo));
    hn::Store(hn::Mul(hn::MulAdd(high_sum, hn::Set(df, kBase), low_sum), hn::Set(df, factor)), df, sums + g * lanes);
  };
  store(0, h0, ho0, l0, lo0);
  store(1, h1, ho1, l1, lo1);
  store(2, h2, ho2, l2, lo2);
  store(3, h3, ho3, l3, lo3);
}

void multiply_block(const std::int16_t* w, const std::int16_t* next, std::size_t groups, const std::int16_t* high,
                    const std::int16_t* low, std::size_t depth, float factor, float* sums) {
  if (groups == 4) return multiply_groups<4>(w, next, high, low, depth, factor, sums);
  if (groups == 3) return multiply_groups<3>(w, next, high, low, depth, factor, sums);
  if (groups == 2) return multiply_groups<2>(w, next, high, low, depth, factor, sums);
  multiply_groups<1>(w, next, high, low, depth, factor, sums);
}
#endif

}  // namespace gan::runtime::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::runtime::cpu {

HWY_EXPORT(group_size);
HWY_EXPORT(split_digits);
HWY_EXPORT(multiply_block);

namespace {
constexpr std::int64_t kQuad = 4;                // groups per block
constexpr float kLargestWeight = 32767;          // of int16
constexpr double kLargestCompactError = 1.0e-4;  // relative, in the norm of the matrix

using base::divide_up;

/// Rounds a row to multiples of the factor that it returns, at most kLargestWeight of them. Adds the squares of the
/// rounding errors and of the elements to `missed` and `squares`.
float compact_row(std::span<const float> src, std::int16_t* dst, double* missed, double* squares) {
  float range = 0;
  for (const float value : src) range = std::max(range, std::abs(value));
  if (range < 1e-30f) {  // the inverse of the factor could overflow
    std::fill_n(dst, src.size(), std::int16_t{0});
    return 0;
  }
  const float factor = range / kLargestWeight, scale = kLargestWeight / range;
  for (std::size_t i = 0; i < src.size(); ++i) {
    dst[i] = static_cast<std::int16_t>(std::lrint(src[i] * scale));
    const auto value = static_cast<double>(src[i]),
               rest = value - static_cast<double>(static_cast<float>(dst[i]) * factor);
    *missed += rest * rest;
    *squares += value * value;
  }
  return factor;
}
}  // namespace

RowProduct::Row::Row(std::int64_t depths, std::int64_t outputs)
    : high(static_cast<std::size_t>(depths * kDepth) * sizeof(std::int16_t)),
      low(static_cast<std::size_t>(depths * kDepth) * sizeof(std::int16_t)),
      factors(static_cast<std::size_t>(depths)),
      partial_sums(static_cast<std::size_t>(depths * outputs) * sizeof(float)) {}

RowProduct::RowProduct(const Product& product)
    : spec_(*product.matmul),
      epilogue_(product.epilogue),
      group_(static_cast<std::int64_t>(HWY_DYNAMIC_DISPATCH(group_size)())),
      groups_(divide_up(spec_.n, group_)),
      quads_(divide_up(groups_, kQuad)),
      depths_(divide_up(spec_.k, kDepth)),
      parts_(divide_up(spec_.n, kDepth)),
      weights_(static_cast<std::size_t>(groups_ * group_ * depths_ * kDepth) * sizeof(std::int16_t)),
      factors_(static_cast<std::size_t>(spec_.n) * sizeof(float)) {
  const bool one = spec_.m == 1;
  const std::int64_t threads = one ? 1 : std::min<std::int64_t>(base::threads(), divide_up(spec_.m, kRowsTogether));
  rows_.resize(static_cast<std::size_t>(threads));
  for (std::vector<Row>& rows : rows_)
    for (std::int64_t i = 0; i < (one ? 1 : kRowsTogether); ++i) rows.emplace_back(depths_, groups_ * group_);
  if (!one) {
    dst_ = product.dst();
    return;
  }
  sums_ = Buffer(static_cast<std::size_t>(spec_.n) * sizeof(float));
  auto* sums = sums_.as<float>();
  Workspace none(nullptr);  // linear chains need no workspace
  for (std::int64_t part = 0; part < parts_; ++part) {
    const std::int64_t first = part * kDepth, count = std::min(kDepth, spec_.n - first);
    epilogues_.push_back(
        chain_kernel(part_of(with_product_at(epilogue_, sums), first, count), none, product.use_machine_code));
  }
}

/// Whether b is frozen and may be rounded for so many rows.
bool RowProduct::can_round(const Product& product) {
  const auto group = static_cast<std::int64_t>(HWY_DYNAMIC_DISPATCH(group_size)());
  const bool fits = group > 0 && kDepth % (kQuad * group) == 0;  // parts consist of whole quads
  return product.matmul && product.matmul->frozen_b && product.matmul->transpose_b &&
         product.matmul->m <= product.compact_rows && fits;
}

bool RowProduct::applies(const Product& product) { return can_round(product) && product.matmul->m == 1; }

bool RowProduct::applies_to_rows(const Product& product) {
  return can_round(product) && product.matmul->m > 1 && !product.matmul->transpose_a;
}

MadeProduct RowProduct::make(const Product& product, Workspace&) {
  std::shared_ptr<RowProduct> made(new RowProduct(product));
  if (!made->pack()) return {};
  if (product.matmul->m > 1) return {[made] { made->run_rows(); }};
  return {[made] { made->run(); }, made};
}

const std::int16_t* RowProduct::block(std::int64_t quad, std::int64_t depth) const {
  const std::int64_t groups = std::min(kQuad, groups_ - quad * kQuad);
  return weights_.as<const std::int16_t>() + (quad * kQuad * depths_ + depth * groups) * group_ * kDepth;
}

bool RowProduct::pack() {
  const auto k = static_cast<std::size_t>(spec_.k);
  std::vector<float> wide(k);
  std::vector<std::int16_t> row(static_cast<std::size_t>(depths_ * kDepth));
  double missed = 0, squares = 0;
  for (std::int64_t output = 0; output < spec_.n; ++output) {
    if (spec_.operands == graph::DType::f32)
      std::copy_n(static_cast<const float*>(spec_.b) + output * spec_.k, k, wide.data());
    else
      simd::widen(static_cast<const std::uint16_t*>(spec_.b) + output * spec_.k, wide.data(), k);
    factors_.as<float>()[output] = compact_row(wide, row.data(), &missed, &squares);
    const std::int64_t quad = output / group_ / kQuad, groups = std::min(kQuad, groups_ - quad * kQuad);
    const std::int64_t lane = output - quad * kQuad * group_;
    for (std::int64_t depth = 0; depth < depths_; ++depth) {
      auto* to = const_cast<std::int16_t*>(block(quad, depth)) + 2 * lane;
      for (std::int64_t i = 0; i < kDepth; i += 2)
        std::memcpy(to + i * groups * group_, row.data() + depth * kDepth + i, 2 * sizeof(std::int16_t));
    }
  }
  return missed <= kLargestCompactError * kLargestCompactError * squares;
}

void RowProduct::split(Row& row, std::int64_t number, std::int64_t depth) const {
  alignas(64) float x[kDepth] = {};
  const std::int64_t first = depth * kDepth;
  const auto count = static_cast<std::size_t>(std::min(kDepth, spec_.k - first));
  if (spec_.operands == graph::DType::f32)
    std::copy_n(static_cast<const float*>(spec_.a) + number * spec_.k + first, count, x);
  else
    simd::widen(static_cast<const std::uint16_t*>(spec_.a) + number * spec_.k + first, x, count);
  row.factors[static_cast<std::size_t>(depth)] = HWY_DYNAMIC_DISPATCH(split_digits)(
      x, count, row.high.as<std::int16_t>() + first, row.low.as<std::int16_t>() + first);
}

void RowProduct::multiply(Row& row, std::int64_t quad, std::int64_t depth, const std::int16_t* next_block) const {
  const std::int64_t first = depth * kDepth;
  HWY_DYNAMIC_DISPATCH(multiply_block)
  (block(quad, depth), next_block, static_cast<std::size_t>(std::min(kQuad, groups_ - quad * kQuad)),
   row.high.as<const std::int16_t>() + first, row.low.as<const std::int16_t>() + first,
   static_cast<std::size_t>(std::min(kDepth, spec_.k - first)), row.factors[static_cast<std::size_t>(depth)],
   row.partial_sums.as<float>() + (depth * groups_ + quad * kQuad) * group_);
}

/// The results of a part from its partial sums, at `sums` [outputs].
void RowProduct::add_up(const Row& row, std::int64_t part, float* sums) const {
  const auto* partial = row.partial_sums.as<const float>();
  const std::int64_t first = part * kDepth, count = std::min(kDepth, spec_.n - first);
  // Always in this order, so that the direction of a run does not change the result.
  std::copy_n(partial + first, count, sums + first);
  for (std::int64_t depth = 1; depth < depths_; ++depth)
    simd::accumulate(partial + depth * groups_ * group_ + first, sums + first, static_cast<std::size_t>(count));
  const auto* factors = factors_.as<const float>();
  for (std::int64_t i = first; i < first + count; ++i) sums[i] *= factors[i];
}

void RowProduct::finish(std::int64_t part) {
  add_up(rows_[0][0], part, sums_.as<float>());
  epilogues_[static_cast<std::size_t>(part)]();
}

void RowProduct::run(RowProduct* next) {
  backwards_ = !backwards_;
  const auto in_order = [this](std::int64_t i, std::int64_t count) { return backwards_ ? count - 1 - i : i; };
  Row& row = rows_[0][0];
  for (std::int64_t depth = 0; depth < depths_; ++depth) split(row, 0, depth);
  const std::int64_t quads_in_part = kDepth / (kQuad * group_);
  for (std::int64_t i = 0; i < parts_; ++i) {
    const std::int64_t part = in_order(i, parts_), first_quad = part * quads_in_part;
    const std::int64_t blocks = std::min(quads_in_part, quads_ - first_quad) * depths_;
    for (std::int64_t j = 0; j < blocks; ++j) {
      const std::int64_t now = in_order(j, blocks), then = in_order(std::min(j + 1, blocks - 1), blocks);
      multiply(row, first_quad + now / depths_, now % depths_, block(first_quad + then / depths_, then % depths_));
    }
    if (!next) continue;
    finish(part);
    next->split(next->rows_[0][0], 0, part);
    for (std::int64_t j = 0; j < next->quads_; ++j)
      next->multiply(next->rows_[0][0], in_order(j, next->quads_), part,
                     next->block(in_order(std::min(j + 1, next->quads_ - 1), next->quads_), part));
  }
  RowProduct& last = next ? *next : *this;
  for (std::int64_t part = 0; part < last.parts_; ++part) last.finish(part);
}

void RowProduct::run_rows() {
  const auto workers = static_cast<std::int64_t>(rows_.size());
  base::parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t i = begin; i < end; ++i)
      run_rows(spec_.m * i / workers, spec_.m * (i + 1) / workers, rows_[static_cast<std::size_t>(i)]);
  });
}

void RowProduct::run_rows(std::int64_t begin, std::int64_t end, std::vector<Row>& rows) const {
  for (std::int64_t first = begin; first < end; first += kRowsTogether) {
    const std::int64_t count = std::min(kRowsTogether, end - first);
    const std::span<Row> together(rows.data(), static_cast<std::size_t>(count));
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t depth = 0; depth < depths_; ++depth)
        split(together[static_cast<std::size_t>(i)], first + i, depth);
    for (std::int64_t i = 0; i < quads_ * depths_; ++i) {
      const std::int16_t* next = i + 1 < quads_ * depths_ ? block((i + 1) / depths_, (i + 1) % depths_) : nullptr;
      for (Row& row : together) multiply(row, i / depths_, i % depths_, std::exchange(next, nullptr));
    }
    for (std::int64_t i = 0; i < count; ++i)
      for (std::int64_t part = 0; part < parts_; ++part)
        add_up(together[static_cast<std::size_t>(i)], part, dst_ + (first + i) * spec_.n);
  }
}

}  // namespace gan::runtime::cpu
#endif  // HWY_ONCE
