// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/random.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include <algorithm>
#include <array>
#include <initializer_list>
#include <numbers>

#include "base/parallel.h"
#include "runtime/cpu/random.h"

HWY_BEFORE_NAMESPACE();
namespace gan::runtime::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using Words = hn::ScalableTag<std::uint32_t>;
using Wide = hn::ScalableTag<std::uint64_t>;

// 64-bit lanes as pairs of 32-bit lanes; with a vector of one lane, its lower 32 bits.
HWY_INLINE hn::Vec<Words> as_words(hn::Vec<Wide> x) {
#if HWY_TARGET == HWY_SCALAR
  return hn::TruncateTo(Words(), x);
#else
  return hn::BitCast(Words(), x);
#endif
}

// base::philox with one block per 64-bit lane. Each word is in the lower 32 bits of its lane; the upper 32 bits are
// undefined.
template <class V>
HWY_INLINE void philox(std::array<std::uint32_t, 2> key, V& a, V& b, V& c, V& d) {
  const Words words;
  const Wide wide;
  for (int round = 0; round < 10; ++round) {
    const V left = hn::MulEven(as_words(a), hn::Set(words, 0xD2511F53));
    const V right = hn::MulEven(as_words(c), hn::Set(words, 0xCD9E8D57));
    a = hn::Xor3(hn::ShiftRight<32>(right), b, hn::Set(wide, key[0]));
    b = right;
    c = hn::Xor3(hn::ShiftRight<32>(left), d, hn::Set(wide, key[1]));
    d = left;
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
}

// Horner's rule without hn::MulAdd, whose rounding differs between processors with and without fused multiply-add.
template <class D, class V>
HWY_INLINE V polynomial(D d, V x, std::initializer_list<float> coefficients) {
  V sum = hn::Zero(d);
  for (const float coefficient : coefficients) sum = hn::Add(hn::Mul(sum, x), hn::Set(d, coefficient));
  return sum;
}

// Polynomials from Cephes (Moshier): logf, sinf, cosf. Over all 2^24 arguments the relative error of the radius is
// below 1.0e-7, that of cosine and sine below 1.5e-7.

// log(x) for positive x that are not denormal.
template <class D, class V>
HWY_INLINE V logarithm(D d, V x) {
  const hn::RebindToSigned<D> integer;
  const auto bits = hn::BitCast(integer, x);
  // x = m 2^exponent with m in [sqrt(1/2), sqrt(2)); 0x3F3504F3 is sqrt(1/2). Around x = 1 the exponent is 0, so
  // nothing cancels.
  const auto exponent = hn::ShiftRight<23>(hn::Sub(bits, hn::Set(integer, 0x3F3504F3)));
  const auto m = hn::BitCast(d, hn::Sub(bits, hn::ShiftLeft<23>(exponent)));
  const auto f = hn::Sub(m, hn::Set(d, 1.0f)), square = hn::Mul(f, f), e = hn::ConvertTo(d, exponent);
  auto y = polynomial(d, f,
                      {7.0376836292e-2f, -1.1514610310e-1f, 1.1676998740e-1f, -1.2420140846e-1f, 1.4249322787e-1f,
                       -1.6668057665e-1f, 2.0000714765e-1f, -2.4999993993e-1f, 3.3333331174e-1f});
  y = hn::Sub(hn::Mul(hn::Mul(f, square), y), hn::Mul(hn::Set(d, 0.5f), square));
  // log(2) is split into two parts so that exponent times the larger one is exact.
  y = hn::Add(y, hn::Mul(e, hn::Set(d, -2.12194440e-4f)));
  return hn::Add(hn::Add(f, y), hn::Mul(e, hn::Set(d, 0.693359375f)));
}

// Cosine and sine of words / 2^32 turns, using the upper 24 bits. The quadrant is subtracted in integers, which is
// exact next to the zeros.
template <class D, class W, class V>
HWY_INLINE void cosine_and_sine(D d, W words, V& cosine, V& sine) {
  const hn::RebindToUnsigned<D> bits;
  const hn::RebindToSigned<D> integer;
  const auto turned = hn::Add(hn::AndNot(hn::Set(bits, 0xFF), words), hn::Set(bits, 1u << 29));  // an eighth of a turn
  const auto rest = hn::Sub(hn::And(turned, hn::Set(bits, (1u << 30) - 1)), hn::Set(bits, 1u << 29));
  const V x =
      hn::Mul(hn::ConvertTo(d, hn::BitCast(integer, rest)), hn::Set(d, 2 * std::numbers::pi_v<float> / 4294967296.0f));
  const V square = hn::Mul(x, x);
  V s = polynomial(d, square, {-1.9515295891e-4f, 8.3321608736e-3f, -1.6666654611e-1f});
  s = hn::Add(x, hn::Mul(hn::Mul(x, square), s));
  const V c =
      polynomial(d, square, {2.443315711809948e-5f, -1.388731625493765e-3f, 4.166664568298827e-2f, -0.5f, 1.0f});
  const auto odd = hn::RebindMask(d, hn::TestBit(turned, hn::Set(bits, 1u << 30)));
  const auto sign_of = [&](auto value) HWY_ATTR { return hn::And(hn::BitCast(d, value), hn::SignBit(d)); };
  cosine = hn::Xor(hn::IfThenElse(odd, s, c), sign_of(hn::Add(turned, hn::Set(bits, 1u << 30))));
  sine = hn::Xor(hn::IfThenElse(odd, c, s), sign_of(turned));
}

template <class D, class W>
HWY_INLINE hn::Vec<D> uniform(D d, W words) {
  const hn::RebindToSigned<D> integer;
  return hn::Mul(hn::ConvertTo(d, hn::BitCast(integer, hn::ShiftRight<8>(words))), hn::Set(d, 1.0f / 16777216.0f));
}

// Two words to two normal values (Box and Muller 1958).
template <class D, class W, class V>
HWY_INLINE void normal(D d, W first, W second, V& even, V& odd) {
  // 1 - u is in (0, 1], so the logarithm is finite and not above 0.
  const V logarithms = logarithm(d, hn::Sub(hn::Set(d, 1.0f), uniform(d, first)));
  const V radius = hn::Sqrt(hn::Mul(hn::Set(d, -2.0f), logarithms));
  cosine_and_sine(d, second, even, odd);
  even = hn::Mul(radius, even);
  odd = hn::Mul(radius, odd);
}

template <bool normals>
HWY_INLINE void fill(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count) {
  const hn::ScalableTag<float> d;
  const Wide wide;
  const std::size_t together = 4 * hn::Lanes(d);
  const auto counter = random.counter(0);
  HWY_ALIGN float rest[4 * hn::MaxLanes(d)];
  for (std::size_t i = 0; i < count; i += together) {
    // Philox blocks of the even and of the odd output lanes, joined below to vectors of words in order.
    auto a = hn::Add(hn::Set(wide, block + i / 4), hn::ShiftLeft<1>(hn::Iota(wide, 0)));
    auto x = hn::Add(a, hn::Set(wide, 1));
    auto b = hn::ShiftRight<32>(a), c = hn::Set(wide, counter[2]), e = hn::Set(wide, counter[3]);
    auto y = hn::ShiftRight<32>(x), z = c, w = e;
    philox(random.key(), a, b, c, e);
    philox(random.key(), x, y, z, w);
    const auto join = [&](auto even, auto odd)
                          HWY_ATTR { return hn::OddEven(as_words(hn::ShiftLeft<32>(odd)), as_words(even)); };
    const auto word0 = join(a, x), word1 = join(b, y), word2 = join(c, z), word3 = join(e, w);
    auto value0 = uniform(d, word0), value1 = uniform(d, word1), value2 = uniform(d, word2), value3 = uniform(d, word3);
    if constexpr (normals) {
      normal(d, word0, word1, value0, value1);
      normal(d, word2, word3, value2, value3);
    }
    const bool last = count - i < together;  // nothing beyond `count` may be written
    hn::StoreInterleaved4(value0, value1, value2, value3, d, last ? rest : dst + i);
    if (last) std::copy_n(rest, count - i, dst + i);
  }
}

void uniforms(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count) {
  fill<false>(random, block, dst, count);
}

void normals(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count) {
  fill<true>(random, block, dst, count);
}

}  // namespace gan::runtime::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::runtime::cpu {

HWY_EXPORT(uniforms);
HWY_EXPORT(normals);

void uniforms(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(uniforms)(random, block, dst, count);
}

void normals(const base::RandomStream& random, std::uint64_t block, float* dst, std::size_t count) {
  HWY_DYNAMIC_DISPATCH(normals)(random, block, dst, count);
}

std::function<void()> random_kernel(const graph::Random& spec, const std::uint32_t* key, const std::uint32_t* step,
                                    const std::uint32_t* part, float* dst) {
  constexpr std::int64_t kRandomGrain = 256;  // fewest blocks of four values per thread
  const auto fill = spec.kind == graph::Random::Kind::normal ? normals : uniforms;
  return [=, stream = spec.stream, count = spec.count] {
    const base::RandomStream random(std::uint64_t{key[1]} << 32 | key[0], stream, *step);
    // The values of a part may begin within a block of four, whose first ones belong to the part before.
    const std::int64_t first = part ? static_cast<std::int64_t>(*part) * count : 0;
    const std::int64_t head = std::min((4 - first % 4) % 4, count);
    if (head > 0) {
      float block[4];
      fill(random, static_cast<std::uint64_t>(first / 4), block, 4);
      std::copy_n(block + first % 4, head, dst);
    }
    const std::int64_t block = (first + head) / 4, rest = count - head;
    base::parallel_for((rest + 3) / 4, kRandomGrain, [&](std::int64_t begin, std::int64_t end) {
      fill(random, static_cast<std::uint64_t>(block + begin), dst + head + 4 * begin,
           static_cast<std::size_t>(std::min(4 * end, rest) - 4 * begin));
    });
  };
}

}  // namespace gan::runtime::cpu
#endif  // HWY_ONCE
