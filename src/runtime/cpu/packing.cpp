#include "runtime/cpu/packing.h"

#ifdef __x86_64__

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics (bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <cmath>

// What needs more than the least x86-64 processor says so, function by function.
#define GAN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace gan::runtime::cpu {

namespace {

using Bf16 = std::uint16_t;

// Exponents of bf16 and fp16: where they begin; what it is of a half that is 1, and the largest one.
constexpr int kBf16ExponentShift = 7, kFp16ExponentShift = 10;
constexpr std::int32_t kFp16One = 15, kLargestExponent = kFp16One + kLargestFp16 - 1;
constexpr std::int32_t kSign = 0x8000, kMagnitude = 0x7FFF, kInfinity = 0x7F80;

/// Transposes 16 rows of 16 numbers of 32 bits: first within squares of four, then the squares.
GAN_AVX512 inline void transpose(__m512i* rows) {
  __m512i square[kTileLines];
  for (int i = 0; i < kTileLines; i += 4) {
    const __m512i a = _mm512_unpacklo_epi32(rows[i], rows[i + 1]), b = _mm512_unpackhi_epi32(rows[i], rows[i + 1]);
    const __m512i c = _mm512_unpacklo_epi32(rows[i + 2], rows[i + 3]),
                  d = _mm512_unpackhi_epi32(rows[i + 2], rows[i + 3]);
    square[i] = _mm512_unpacklo_epi64(a, c);
    square[i + 1] = _mm512_unpackhi_epi64(a, c);
    square[i + 2] = _mm512_unpacklo_epi64(b, d);
    square[i + 3] = _mm512_unpackhi_epi64(b, d);
  }
  for (int i = 0; i < 4; ++i) {
    const __m512i a = _mm512_shuffle_i32x4(square[i], square[i + 4], 0x88),
                  b = _mm512_shuffle_i32x4(square[i], square[i + 4], 0xDD),
                  c = _mm512_shuffle_i32x4(square[i + 8], square[i + 12], 0x88),
                  d = _mm512_shuffle_i32x4(square[i + 8], square[i + 12], 0xDD);
    rows[i] = _mm512_shuffle_i32x4(a, c, 0x88);
    rows[i + 4] = _mm512_shuffle_i32x4(b, d, 0x88);
    rows[i + 8] = _mm512_shuffle_i32x4(a, c, 0xDD);
    rows[i + 12] = _mm512_shuffle_i32x4(b, d, 0xDD);
  }
}

__mmask32 first_lanes(std::int64_t count) {
  return static_cast<__mmask32>((std::uint64_t{1} << std::clamp<std::int64_t>(count, 0, kTileDepth)) - 1);
}

GAN_AVX512 inline __m512i all(std::int32_t number) { return _mm512_set1_epi16(static_cast<short>(number)); }

/// 32 numbers of bf16 as halves; `shifts` is taken from them as they lie. What would be denormal, 2^-17 of the line's
/// largest number and less, becomes zero or some other denormal half.
GAN_AVX512 inline __m512i to_fp16(__m512i numbers, __m512i shifts) {
  const __m512i shifted = _mm512_subs_epu16(_mm512_and_si512(numbers, all(kMagnitude)), shifts);
  const __m512i magnitude = _mm512_slli_epi16(shifted, kFp16ExponentShift - kBf16ExponentShift);
  constexpr int kFirstWhereThird = 0xE4;  // else second
  return _mm512_ternarylogic_epi64(numbers, magnitude, all(kSign), kFirstWhereThird);
}

GAN_AVX512 inline void store_tile(__m512i* rows, bool transposed, Bf16* dst) {
  if (transposed) transpose(rows);
  for (std::int64_t i = 0; i < kTileLines; ++i) _mm512_store_si512(dst + i * kTileDepth, rows[i]);
}

/// Packs what a register takes of an operand along its lines: 16 lines from `line` on, 32 numbers from `at` on, zeros
/// beyond the ends. Asks for what is packed later; what lies behind the end does no harm.
template <PackedForm form>
GAN_AVX512 inline void pack_along(const PackedOperand& operand, std::int64_t line, std::int64_t at,
                                  const std::int32_t* shifts, Bf16* dst) {
  const __mmask32 lanes = first_lanes(operand.depth - at);
  __m512i rows[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    const std::int64_t offset = (line + i) * operand.depth + at;
    const __mmask32 in_line = line + i < operand.lines ? lanes : 0;
    const Bf16* src = static_cast<const Bf16*>(operand.data) + offset;
    _mm_prefetch(reinterpret_cast<const char*>(src + kTileLines * operand.depth), _MM_HINT_T1);
    rows[i] = _mm512_maskz_loadu_epi16(in_line, src);
    if constexpr (form == PackedForm::fp16) rows[i] = to_fp16(rows[i], _mm512_set1_epi32(shifts[i]));
  }
  // Rows of the left operand lie as they are multiplied.
  store_tile(rows, !operand.left, dst);
}

/// A row's numbers for two registers, of the lines from `line` on, of which the operand has `lanes`.
template <bool gathered>
GAN_AVX512 inline __m512i load_row(const PackedOperand& operand, std::int64_t row, std::int64_t line, __mmask32 lanes) {
  if (row >= operand.depth) lanes = 0;
  const Bf16* src = static_cast<const Bf16*>(operand.data) + operand.offset<gathered>(row, line);
  if constexpr (!gathered) return _mm512_maskz_loadu_epi16(lanes, src);
  const Bf16* second = static_cast<const Bf16*>(operand.data) + operand.offset<gathered>(row, line + kTileLines);
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes), src)),
                            _mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes >> kTileLines), second), 1);
}

/// In the order in which two rows unpack to pairs.
GAN_AVX512 inline __m512i to_unpack(__m512i row) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), row);
}

template <bool gathered>
inline void prefetch(const PackedOperand& operand, std::int64_t row, std::int64_t line) {
  _mm_prefetch(static_cast<const char*>(operand.data) + operand.offset<gathered>(row, line) * 2, _MM_HINT_T1);
}

/// Packs what two registers, `panel` numbers apart, take of an operand not along its lines, so that what one row has in
/// a line of the cache is read at once.
template <PackedForm form, bool gathered>
GAN_AVX512 inline void pack_across(const PackedOperand& operand, std::int64_t line, std::int64_t at, std::int64_t panel,
                                   const std::int32_t* const shifts_of_panels[2], Bf16* dst) {
  const __mmask32 lanes = first_lanes(operand.lines - line);
  __m512i shifts = {};
  if constexpr (form == PackedForm::fp16)
    shifts = _mm512_inserti64x4(_mm512_castsi256_si512(_mm512_cvtepi32_epi16(_mm512_loadu_si512(shifts_of_panels[0]))),
                                _mm512_cvtepi32_epi16(_mm512_loadu_si512(shifts_of_panels[1])), 1);
  __m512i first[kTileLines], second[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    const std::int64_t row = at + 2 * i;
    for (const std::int64_t ahead : {row + kTileDepth, row + kTileDepth + 1}) prefetch<gathered>(operand, ahead, line);
    __m512i even = load_row<gathered>(operand, row, line, lanes),
            odd = load_row<gathered>(operand, row + 1, line, lanes);
    if constexpr (form == PackedForm::fp16) {
      even = to_fp16(even, shifts);
      odd = to_fp16(odd, shifts);
    }
    even = to_unpack(even);
    odd = to_unpack(odd);
    first[i] = _mm512_unpacklo_epi16(even, odd);
    second[i] = _mm512_unpackhi_epi16(even, odd);
  }
  // Pairs of rows of the right operand lie as they are multiplied.
  store_tile(first, operand.left, dst);
  store_tile(second, operand.left, dst + panel);
}

/// The larger magnitude of each lane, twice: without its sign a number is moved to the left.
GAN_AVX512 inline __m512i larger(__m512i most, __m512i numbers) {
  return _mm512_max_epu16(most, _mm512_slli_epi16(numbers, 1));
}

/// Of 16 lines, from twice their largest magnitudes.
GAN_AVX512 inline void store_scales(__m512i twice_most, LineScales* scales) {
  const __m512i exponents = _mm512_srli_epi32(twice_most, kBf16ExponentShift + 1);
  const __m512i shifts = _mm512_subs_epu16(exponents, _mm512_set1_epi32(kLargestExponent));
  const __m512i as_taken = _mm512_slli_epi32(shifts, kBf16ExponentShift);
  _mm512_storeu_si512(scales->shifts, _mm512_or_si512(as_taken, _mm512_slli_epi32(as_taken, 16)));
  const __mmask16 not_finite = _mm512_cmpge_epu32_mask(twice_most, _mm512_set1_epi32(2 * kInfinity));
  const __m512 powers =
      _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(shifts, _mm512_set1_epi32(kFp16One)), 23));
  _mm512_storeu_ps(scales->powers, _mm512_mask_mov_ps(powers, not_finite, _mm512_set1_ps(NAN)));
}

/// Twice the largest magnitudes of 16 lines along which numbers lie.
GAN_AVX512 inline __m512i largest_along(const PackedOperand& operand, std::int64_t line) {
  __m512i most[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    most[i] = _mm512_setzero_si512();
    if (line + i >= operand.lines) continue;
    const Bf16* src = static_cast<const Bf16*>(operand.data) + (line + i) * operand.depth;
    std::int64_t at = 0;
    for (; at + kTileDepth <= operand.depth; at += kTileDepth) most[i] = larger(most[i], _mm512_loadu_si512(src + at));
    if (at < operand.depth)
      most[i] = larger(most[i], _mm512_maskz_loadu_epi16(first_lanes(operand.depth - at), src + at));
    most[i] = _mm512_max_epu32(_mm512_and_si512(most[i], _mm512_set1_epi32(0xFFFF)), _mm512_srli_epi32(most[i], 16));
  }
  transpose(most);
  for (std::int64_t i = 1; i < kTileLines; ++i) most[0] = _mm512_max_epu32(most[0], most[i]);
  return most[0];
}

/// Stores the scales of the pairs of panels [begin, end) of an operand not along its lines, which is packed to dst
/// next.
template <bool gathered>
GAN_AVX512 void find_scales_across(const PackedOperand& operand, std::int64_t begin, std::int64_t end,
                                   std::int64_t panel, Bf16* dst) {
  constexpr std::int64_t kRowsAtOnce = 8;
  for (std::int64_t row = 0; row < operand.depth; row += kRowsAtOnce)
    for (std::int64_t p = begin; p < end; ++p) {
      const __mmask32 lanes = first_lanes(operand.lines - p * kPairLines);
      Bf16* const pair = dst + 2 * (p - begin) * panel;  // where nothing is packed yet
      __m512i most = row > 0 ? _mm512_load_si512(pair) : _mm512_setzero_si512();
      for (std::int64_t r = row; r < row + kRowsAtOnce; ++r) {
        prefetch<gathered>(operand, r + 2 * kRowsAtOnce, p * kPairLines);
        most = larger(most, load_row<gathered>(operand, r, p * kPairLines, lanes));
      }
      _mm512_store_si512(pair, most);
    }
  for (std::int64_t p = begin; p < end; ++p) {
    Bf16* const pair = dst + 2 * (p - begin) * panel;
    const __m512i most = _mm512_load_si512(pair);
    store_scales(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(most)), scales_of(pair, panel));
    store_scales(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(most, 1)), scales_of(pair + panel, panel));
  }
}

template <PackedForm form>
GAN_AVX512 void pack_lines(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel,
                           Bf16* dst) {
  for (std::int64_t p = begin; p < end; ++p, dst += 2 * panel)
    for (std::int64_t i = 0; i < 2; ++i) {
      const std::int64_t line = p * kPairLines + i * kTileLines;
      Bf16* const to = dst + i * panel;
      LineScales* const scales = scales_of(to, panel);
      if constexpr (form == PackedForm::fp16) store_scales(largest_along(operand, line), scales);
      for (std::int64_t at = 0; at < operand.depth; at += kTileDepth)
        pack_along<form>(operand, line, at, scales->shifts, to + at * kTileLines);
    }
}

template <PackedForm form, bool gathered>
GAN_AVX512 void pack_rows(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel,
                          Bf16* dst) {
  if constexpr (form == PackedForm::fp16) find_scales_across<gathered>(operand, begin, end, panel, dst);
  for (std::int64_t at = 0; at < operand.depth; at += kTileDepth)
    for (std::int64_t p = begin; p < end; ++p) {
      Bf16* const pair = dst + 2 * (p - begin) * panel;
      const std::int32_t* const shifts[] = {scales_of(pair, panel)->shifts, scales_of(pair + panel, panel)->shifts};
      pack_across<form, gathered>(operand, p * kPairLines, at, panel, shifts, pair + at * kTileLines);
    }
}

}  // namespace

void pack(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel, Bf16* dst) {
  using enum PackedForm;
  const bool as_fp16 = operand.form == fp16;
  const auto packing = operand.along_lines ? (as_fp16 ? pack_lines<fp16> : pack_lines<bf16>)
                       : operand.gathered  ? (as_fp16 ? pack_rows<fp16, true> : pack_rows<bf16, true>)
                                           : (as_fp16 ? pack_rows<fp16, false> : pack_rows<bf16, false>);
  packing(operand, begin, end, panel, dst);
}

}  // namespace gan::runtime::cpu

#endif
