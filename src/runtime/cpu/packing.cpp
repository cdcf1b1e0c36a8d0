#include "runtime/cpu/packing.h"

#ifdef __x86_64__

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics (bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#include <algorithm>
#include <cmath>

// For functions that need more than baseline x86-64.
#define GAN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace gan::runtime::cpu {

namespace {

using Bf16 = std::uint16_t;

// Bits below the exponent in bf16 and fp16; the exponent field of 1 in fp16 and the largest one of scaled elements.
constexpr int kBf16ExponentShift = 7, kFp16ExponentShift = 10;
constexpr std::int32_t kFp16One = 15, kLargestExponent = kFp16One + kLargestFp16 - 1;
constexpr std::int32_t kBf16Sign = 0x8000, kMagnitude = 0x7FFF, kInfinity = 0x7F80;

/// Transposes 16 rows of 16 32-bit elements: first within squares of 4 x 4, then the squares.
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

GAN_AVX512 inline __m512i all(std::int32_t value) { return _mm512_set1_epi16(static_cast<short>(value)); }

/// Converts 32 bf16 elements to fp16 after subtracting `shifts` from their bits (LineScales). Elements that would be
/// denormal, 2^-17 of the largest of the line and less, become zero or some other denormal.
GAN_AVX512 inline __m512i to_fp16(__m512i elements, __m512i shifts) {
  const __m512i shifted = _mm512_subs_epu16(_mm512_and_si512(elements, all(kMagnitude)), shifts);
  const __m512i magnitude = _mm512_slli_epi16(shifted, kFp16ExponentShift - kBf16ExponentShift);
  constexpr int kFirstWhereThird = 0xE4;  // imm8 of ternary logic: a where c is 1, else b
  return _mm512_ternarylogic_epi64(elements, magnitude, all(kBf16Sign), kFirstWhereThird);
}

GAN_AVX512 inline void store_tile(__m512i* rows, bool transposed, Bf16* dst) {
  if (transposed) transpose(rows);
  for (std::int64_t i = 0; i < kTileLines; ++i) _mm512_store_si512(dst + i * kTileDepth, rows[i]);
}

/// Packs one tile of an operand whose lines are contiguous: 16 lines from `line` on, 32 elements from `at` on, zeros
/// beyond the ends. Prefetches the next 16 lines; prefetching beyond the end is harmless.
template <PackedForm form>
GAN_AVX512 inline void pack_contiguous(const PackedOperand& operand, std::int64_t line, std::int64_t at,
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
  // The left operand is multiplied row by row, so only the right one is transposed.
  store_tile(rows, !operand.left, dst);
}

/// Loads the elements of a row for two tiles, from `line` on; `lanes` masks those that the operand has.
template <bool gathered>
GAN_AVX512 inline __m512i load_row(const PackedOperand& operand, std::int64_t row, std::int64_t line, __mmask32 lanes) {
  if (row >= operand.depth) lanes = 0;
  const Bf16* src = static_cast<const Bf16*>(operand.data) + operand.offset<gathered>(row, line);
  if constexpr (!gathered) return _mm512_maskz_loadu_epi16(lanes, src);
  const Bf16* second = static_cast<const Bf16*>(operand.data) + operand.offset<gathered>(row, line + kTileLines);
  return _mm512_inserti64x4(_mm512_castsi256_si512(_mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes), src)),
                            _mm256_maskz_loadu_epi16(static_cast<__mmask16>(lanes >> kTileLines), second), 1);
}

/// Permutes a row so that unpacklo with another such row gives the pairs of the first 16 columns, and unpackhi those of
/// the last 16.
GAN_AVX512 inline __m512i permuted_for_unpack(__m512i row) {
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), row);
}

template <bool gathered>
inline void prefetch(const PackedOperand& operand, std::int64_t row, std::int64_t line) {
  _mm_prefetch(static_cast<const char*>(operand.data) + operand.offset<gathered>(row, line) * 2, _MM_HINT_T1);
}

/// Packs two tiles, `panel` elements apart, of an operand whose lines are strided, so that each cache line of a row is
/// read at once.
template <PackedForm form, bool gathered>
GAN_AVX512 inline void pack_strided(const PackedOperand& operand, std::int64_t line, std::int64_t at,
                                    std::int64_t panel, const std::int32_t* const shifts_of_panels[2], Bf16* dst) {
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
    even = permuted_for_unpack(even);
    odd = permuted_for_unpack(odd);
    first[i] = _mm512_unpacklo_epi16(even, odd);
    second[i] = _mm512_unpackhi_epi16(even, odd);
  }
  // The right operand is multiplied in pairs of rows, so only the left one is transposed.
  store_tile(first, operand.left, dst);
  store_tile(second, operand.left, dst + panel);
}

/// The maximum per lane of `maxima` and twice the magnitudes of `elements`: the shift by one bit removes the sign.
GAN_AVX512 inline __m512i larger(__m512i maxima, __m512i elements) {
  return _mm512_max_epu16(maxima, _mm512_slli_epi16(elements, 1));
}

/// Stores the scales of 16 lines, given twice their largest magnitudes.
GAN_AVX512 inline void store_scales(__m512i twice_maxima, LineScales* scales) {
  const __m512i exponents = _mm512_srli_epi32(twice_maxima, kBf16ExponentShift + 1);
  const __m512i shifts = _mm512_subs_epu16(exponents, _mm512_set1_epi32(kLargestExponent));
  const __m512i in_exponent = _mm512_slli_epi32(shifts, kBf16ExponentShift);
  _mm512_storeu_si512(scales->shifts, _mm512_or_si512(in_exponent, _mm512_slli_epi32(in_exponent, 16)));
  const __mmask16 not_finite = _mm512_cmpge_epu32_mask(twice_maxima, _mm512_set1_epi32(2 * kInfinity));
  const __m512 powers =
      _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_add_epi32(shifts, _mm512_set1_epi32(kFp16One)), 23));
  _mm512_storeu_ps(scales->powers, _mm512_mask_mov_ps(powers, not_finite, _mm512_set1_ps(NAN)));
}

/// Twice the largest magnitudes of 16 lines, which are contiguous.
GAN_AVX512 inline __m512i largest_contiguous(const PackedOperand& operand, std::int64_t line) {
  __m512i maxima[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    maxima[i] = _mm512_setzero_si512();
    if (line + i >= operand.lines) continue;
    const Bf16* src = static_cast<const Bf16*>(operand.data) + (line + i) * operand.depth;
    std::int64_t at = 0;
    for (; at + kTileDepth <= operand.depth; at += kTileDepth)
      maxima[i] = larger(maxima[i], _mm512_loadu_si512(src + at));
    if (at < operand.depth)
      maxima[i] = larger(maxima[i], _mm512_maskz_loadu_epi16(first_lanes(operand.depth - at), src + at));
    maxima[i] =
        _mm512_max_epu32(_mm512_and_si512(maxima[i], _mm512_set1_epi32(0xFFFF)), _mm512_srli_epi32(maxima[i], 16));
  }
  transpose(maxima);
  for (std::int64_t i = 1; i < kTileLines; ++i) maxima[0] = _mm512_max_epu32(maxima[0], maxima[i]);
  return maxima[0];
}

/// Stores the scales of the pairs of panels [begin, end) of an operand whose lines are strided. Uses dst, where the
/// panels are packed afterwards, for the maxima.
template <bool gathered>
GAN_AVX512 void find_scales_strided(const PackedOperand& operand, std::int64_t begin, std::int64_t end,
                                    std::int64_t panel, Bf16* dst) {
  constexpr std::int64_t kRowsAtOnce = 8;
  for (std::int64_t row = 0; row < operand.depth; row += kRowsAtOnce)
    for (std::int64_t p = begin; p < end; ++p) {
      const __mmask32 lanes = first_lanes(operand.lines - p * kPairLines);
      Bf16* const pair = dst + 2 * (p - begin) * panel;  // holds the maxima
      __m512i maxima = row > 0 ? _mm512_load_si512(pair) : _mm512_setzero_si512();
      for (std::int64_t r = row; r < row + kRowsAtOnce; ++r) {
        prefetch<gathered>(operand, r + 2 * kRowsAtOnce, p * kPairLines);
        maxima = larger(maxima, load_row<gathered>(operand, r, p * kPairLines, lanes));
      }
      _mm512_store_si512(pair, maxima);
    }
  for (std::int64_t p = begin; p < end; ++p) {
    Bf16* const pair = dst + 2 * (p - begin) * panel;
    const __m512i maxima = _mm512_load_si512(pair);
    store_scales(_mm512_cvtepu16_epi32(_mm512_castsi512_si256(maxima)), scales_of(pair, panel));
    store_scales(_mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64(maxima, 1)), scales_of(pair + panel, panel));
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
      if constexpr (form == PackedForm::fp16) store_scales(largest_contiguous(operand, line), scales);
      for (std::int64_t at = 0; at < operand.depth; at += kTileDepth)
        pack_contiguous<form>(operand, line, at, scales->shifts, to + at * kTileLines);
    }
}

template <PackedForm form, bool gathered>
GAN_AVX512 void pack_rows(const PackedOperand& operand, std::int64_t begin, std::int64_t end, std::int64_t panel,
                          Bf16* dst) {
  if constexpr (form == PackedForm::fp16) find_scales_strided<gathered>(operand, begin, end, panel, dst);
  for (std::int64_t at = 0; at < operand.depth; at += kTileDepth)
    for (std::int64_t p = begin; p < end; ++p) {
      Bf16* const pair = dst + 2 * (p - begin) * panel;
      const std::int32_t* const shifts[] = {scales_of(pair, panel)->shifts, scales_of(pair + panel, panel)->shifts};
      pack_strided<form, gathered>(operand, p * kPairLines, at, panel, shifts, pair + at * kTileLines);
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
