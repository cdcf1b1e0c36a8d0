#include "runtime/amx.h"

#ifdef __x86_64__

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics (bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "base/parallel.h"
#include "runtime/array.h"

// What needs more than the least x86-64 processor says so, function by function.
#define GAN_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq"), noinline))
#define GAN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512bf16")))

namespace gan::runtime {

namespace {

using Bf16 = std::uint16_t;

// A matrix register holds 16 rows of 64 bytes: of the left operand 16 rows of 32 numbers, of the right one 16 pairs of
// rows of 16 columns, the two numbers of a pair side by side, of the product 16 rows of 16.
constexpr std::int64_t kTileLines = 16;  // rows of the left operand, columns of the right one
constexpr std::int64_t kTileDepth = 32;  // numbers that a register sums over
constexpr std::int64_t kTile = kTileLines * kTileDepth;
constexpr std::int64_t kPair = 2 * kTileLines;  // lines of the two registers that are worked on together
constexpr std::int64_t kDepthAtOnce = 16;       // registers, at most; two panels of so many stay in the L1 cache
// Bytes of packed operands, a power of two and room for what keeps panels apart: the left one stays in the L2 cache
// while a little of the right one at a time is packed to the same place, which the cache then still holds.
constexpr std::int64_t kLeftBytes = (1 << 20) + (1 << 14);
constexpr std::int64_t kRightBytes = (1 << 17) + (1 << 12);
constexpr double kOperationsOfAThread = 2.5e5;  // few, as for kElementwiseGrain

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfiguration kConfiguration;

GAN_AMX void begin_tiles() { _tile_loadconfig(&kConfiguration); }

GAN_AMX void end_tiles() { _tile_release(); }

/// Adds to [32, 32] of the product, or starts it anew, what `depth` registers of two packed panels on each side give.
/// The right one is read past the L1 cache, in which the left one stays for the next columns.
/// `panel` is the distance between the two panels of a side, `row` that between rows of the product.
GAN_AMX void multiply(const Bf16* left, const Bf16* right, std::int64_t panel, std::int64_t depth, bool anew,
                      float* product, std::int64_t row) {
  float* const below = product + kTileLines * row;
  row *= sizeof(float);
  asm volatile("" ::: "memory");  // GCC's intrinsics do not say that they read and write memory
  if (anew) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
  } else {
    _tile_loadd(0, product, row);
    _tile_loadd(1, product + kTileLines, row);
    _tile_loadd(2, below, row);
    _tile_loadd(3, below + kTileLines, row);
  }
  for (std::int64_t k = 0; k < depth * kTile; k += kTile) {
    _tile_loadd(4, left + k, 64);
    _tile_stream_loadd(6, right + k, 64);
    _tile_dpbf16ps(0, 4, 6);
    _tile_stream_loadd(7, right + panel + k, 64);
    _tile_dpbf16ps(1, 4, 7);
    _tile_loadd(5, left + panel + k, 64);
    _tile_dpbf16ps(2, 5, 6);
    _tile_dpbf16ps(3, 5, 7);
  }
  _tile_stored(0, product, row);
  _tile_stored(1, product + kTileLines, row);
  _tile_stored(2, below, row);
  _tile_stored(3, below + kTileLines, row);
  asm volatile("" ::: "memory");
}

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

/// An operand as lines (rows of the left one, columns of the right one) of `depth` numbers to be summed over.
struct Operand {
  const void* data;
  std::int64_t lines, depth;
  bool along_lines;  ///< a line's numbers lie side by side
  bool left;
  bool split;  ///< f32 numbers, along lines, each to be the sum of two of bf16: the first half of a pair of panels
               ///< holds the one, the second half the other
  std::shared_ptr<const GatheredRows> gathered = nullptr;  ///< of a right operand not along lines: where its rows are

  /// Numbers from the operand's address to the first of a row of 16 lines.
  std::int64_t offset(std::int64_t row, std::int64_t line) const {
    if (!gathered) return row * lines + line;
    return gathered->rows[static_cast<std::size_t>(row)] +
           gathered->blocks[static_cast<std::size_t>(line / kTileLines)];
  }
};

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

__mmask32 first_lanes(std::int64_t count) {
  return static_cast<__mmask32>((std::uint64_t{1} << std::clamp<std::int64_t>(count, 0, kTileDepth)) - 1);
}

GAN_AVX512 inline __m512 widened(__m256i numbers) {
  return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(numbers), 16));
}

/// 32 numbers in bf16, and what is left of them.
GAN_AVX512 inline __m512i split(const float* src, std::int64_t count, __m512i* rest) {
  const __mmask32 lanes = first_lanes(count);
  const __m512 low = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes), src),
               high = _mm512_maskz_loadu_ps(static_cast<__mmask16>(lanes >> 16), src + 16);
  const __m512i rounded = (__m512i)_mm512_cvtne2ps_pbh(high, low);
  const __m512 low_rest = _mm512_sub_ps(low, widened(_mm512_castsi512_si256(rounded))),
               high_rest = _mm512_sub_ps(high, widened(_mm512_extracti64x4_epi64(rounded, 1)));
  *rest = (__m512i)_mm512_cvtne2ps_pbh(high_rest, low_rest);
  return rounded;
}

GAN_AVX512 inline void store_tile(__m512i* rows, bool transposed, Bf16* dst) {
  if (transposed) transpose(rows);
  for (std::int64_t i = 0; i < kTileLines; ++i) _mm512_store_si512(dst + i * kTileDepth, rows[i]);
}

/// Packs what a register takes of an operand along its lines: 16 lines from `line` on, 32 numbers from `at` on, zeros
/// beyond the ends. Asks for what is packed later; what lies behind the end does no harm.
GAN_AVX512 inline void pack_along(const Operand& operand, std::int64_t line, std::int64_t at, Bf16* dst, Bf16* rest) {
  __m512i rows[kTileLines], rests[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    const std::int64_t offset = (line + i) * operand.depth + at;
    const std::int64_t count = line + i < operand.lines ? operand.depth - at : 0;
    if (operand.split) {
      rows[i] = split(static_cast<const float*>(operand.data) + offset, count, rests + i);
      continue;
    }
    const Bf16* src = static_cast<const Bf16*>(operand.data) + offset;
    _mm_prefetch(reinterpret_cast<const char*>(src + kTileLines * operand.depth), _MM_HINT_T1);
    rows[i] = _mm512_maskz_loadu_epi16(first_lanes(count), src);
  }
  // Rows of the left operand lie as they are multiplied.
  store_tile(rows, !operand.left, dst);
  if (operand.split) store_tile(rests, !operand.left, rest);
}

/// A row's numbers for two registers, of the lines from `line` on, in the order in which two rows unpack to pairs.
GAN_AVX512 inline __m512i load_across(const Operand& operand, std::int64_t row, std::int64_t line) {
  const std::int64_t count = row < operand.depth ? operand.lines - line : 0;
  const auto* src = static_cast<const Bf16*>(operand.data);
  __m512i numbers;
  if (operand.gathered) {
    const __m256i low = _mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(count)),
                                                 src + operand.offset(row, line)),
                  high = _mm256_maskz_loadu_epi16(static_cast<__mmask16>(first_lanes(count - kTileLines)),
                                                  src + operand.offset(row, line + kTileLines));
    numbers = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
  } else {
    numbers = _mm512_maskz_loadu_epi16(first_lanes(count), src + operand.offset(row, line));
  }
  return _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7), numbers);
}

/// Packs what two registers, `panel` numbers apart, take of an operand not along its lines, so that what one row has in
/// a line of the cache is read at once.
GAN_AVX512 inline void pack_across(const Operand& operand, std::int64_t line, std::int64_t at, std::int64_t panel,
                                   Bf16* dst) {
  __m512i first[kTileLines], second[kTileLines];
  for (std::int64_t i = 0; i < kTileLines; ++i) {
    const std::int64_t row = at + 2 * i;
    for (const std::int64_t ahead : {row + kTileDepth, row + kTileDepth + 1})
      _mm_prefetch(static_cast<const char*>(operand.data) + operand.offset(ahead, line) * 2, _MM_HINT_T1);
    const __m512i even = load_across(operand, row, line), odd = load_across(operand, row + 1, line);
    first[i] = _mm512_unpacklo_epi16(even, odd);
    second[i] = _mm512_unpackhi_epi16(even, odd);
  }
  // Pairs of rows of the right operand lie as they are multiplied.
  store_tile(first, operand.left, dst);
  store_tile(second, operand.left, dst + panel);
}

/// Packs the pairs of panels [begin, end), which begin `panel` numbers apart; a panel is 16 lines in all their depth.
GAN_AVX512 __attribute__((noinline)) void pack(const Operand& operand, std::int64_t begin, std::int64_t end,
                                               std::int64_t panel, Bf16* dst) {
  const std::int64_t tiles = divide_up(operand.depth, kTileDepth), parts = operand.split ? 2 : 1;
  if (operand.along_lines)
    for (std::int64_t p = 0; p < 2 * (end - begin); ++p)
      for (std::int64_t tile = 0; tile < tiles; ++tile) {
        Bf16* to = dst + (p / 2 * 2 * parts + p % 2) * panel + tile * kTile;
        pack_along(operand, (2 * begin + p) * kTileLines, tile * kTileDepth, to, to + 2 * panel);
      }
  else
    for (std::int64_t tile = 0; tile < tiles; ++tile)
      for (std::int64_t p = begin; p < end; ++p)
        pack_across(operand, p * kPair, tile * kTileDepth, panel, dst + 2 * (p - begin) * panel + tile * kTile);
}

/// Memory of a thread that only grows.
std::byte* scratch(std::int64_t bytes) {
  static thread_local AlignedBytes memory;
  if (memory.size() < static_cast<std::size_t>(bytes)) memory = AlignedBytes(static_cast<std::size_t>(bytes));
  return memory.data();
}

/// The largest number of equal parts of `count` of at most `most` each: how large these are.
std::int64_t part(std::int64_t count, std::int64_t most) {
  return divide_up(count, divide_up(count, std::max<std::int64_t>(most, 1)));
}

static_assert(GatheredRows::kBlock == kTileLines);
static_assert(kPair % kSumRows == 0);  // what chains want that add up rows

class AmxProduct {
 public:
  AmxProduct(const MatmulSpec& spec, PieceFunction chain, GatheredRows gathered)
      : split_(spec.operand_dtype == graph::DType::f32),
        left_{spec.a, spec.m, spec.k, !spec.transpose_a, true, split_},
        right_{spec.b, spec.n, spec.k, spec.transpose_b, false, split_},
        depth_(divide_up(spec.k, kTileDepth)),
        panel_(depth_ * kTile + kTileDepth),  // no power of two, which would crowd a few sets of the cache
        pair_((split_ ? 4 : 2) * panel_),
        chain_(std::move(chain)) {
    if (split_ && (spec.transpose_a || !spec.transpose_b)) base::fail_run("f32 operands must lie along their lines");
    if (!gathered.rows.empty()) {
      if (split_ || spec.transpose_b || spec.frozen_b) base::fail_run("gathered rows are for bf16 as it lies");
      // Addresses are made for whole registers, and of what is asked for ahead.
      gathered.rows.resize(static_cast<std::size_t>((depth_ + 2) * kTileDepth), gathered.rows.back());
      gathered.blocks.resize(static_cast<std::size_t>(2 * divide_up(spec.n, kPair)), gathered.blocks.back());
      right_.gathered = std::make_shared<const GatheredRows>(std::move(gathered));
    }
    if (!spec.frozen_b) return;
    const std::int64_t columns = divide_up(right_.lines, kPair);
    auto packed = std::make_shared<AlignedBytes>(static_cast<std::size_t>(columns * pair_) * sizeof(Bf16));
    pack(right_, 0, columns, panel_, reinterpret_cast<Bf16*>(packed->data()));
    packed_right_ = packed;
  }

  /// Rows are divided between the threads, unless there are few; each packs all of the other operand for itself, if
  /// that is not packed already.
  void operator()() const {
    const std::int64_t rows = divide_up(left_.lines, kPair), columns = divide_up(right_.lines, kPair);
    const double operations = (split_ ? 6.0 : 2.0) * static_cast<double>(rows * kPair) *
                              static_cast<double>(columns * kPair) * static_cast<double>(left_.depth);
    const bool by_rows = 2 * rows >= columns;
    const std::int64_t divided = by_rows ? rows : columns;
    const auto grain = static_cast<std::int64_t>(static_cast<double>(divided) * kOperationsOfAThread / operations) + 1;
    base::parallel_for(divided, grain, [&](std::int64_t begin, std::int64_t end) {
      begin_tiles();
      if (by_rows)
        run(begin, end, 0, columns);
      else
        run(0, rows, begin, end);
      end_tiles();
    });
  }

 private:
  // Pairs of panels [row, row_end) of the left operand with [column, column_end) of the right one.
  void run(std::int64_t row, std::int64_t row_end, std::int64_t column, std::int64_t column_end) const {
    const std::int64_t pair_bytes = pair_ * static_cast<std::int64_t>(sizeof(Bf16));
    const std::int64_t height = part(row_end - row, kLeftBytes / pair_bytes);
    const std::int64_t width = part(column_end - column, std::max<std::int64_t>(kRightBytes / pair_bytes, 2));
    const std::int64_t stride = width * kPair + kTileLines;  // no power of two, either
    const std::int64_t to_pack = packed_right_ ? 0 : width;
    std::byte* const memory = scratch((height + to_pack) * pair_bytes + kPair * stride * 4);
    Bf16* const left = reinterpret_cast<Bf16*>(memory);
    Bf16* const packed = left + height * pair_;
    auto* const product = reinterpret_cast<float*>(packed + to_pack * pair_);
    for (; row < row_end; row += height) {
      const std::int64_t end = std::min(row + height, row_end);
      pack(left_, row, end, panel_, left);
      for (std::int64_t j = column; j < column_end; j += width) {
        const std::int64_t j_end = std::min(j + width, column_end);
        if (!packed_right_) pack(right_, j, j_end, panel_, packed);
        const Bf16* right = packed_right_ ? reinterpret_cast<const Bf16*>(packed_right_->data()) + j * pair_ : packed;
        for (std::int64_t i = row; i < end; ++i) {
          multiply_row(left + (i - row) * pair_, right, j_end - j, product, stride);
          chain_({.row = i * kPair,
                  .row_end = std::min((i + 1) * kPair, left_.lines),
                  .column = j * kPair,
                  .column_end = std::min(j_end * kPair, right_.lines),
                  .product = product,
                  .product_stride = stride});
        }
      }
    }
  }

  /// A row of the product from two panels of the left operand, some of their depth at a time. Of split operands the
  /// product of the rests, some 2^-18 of the whole, is left out.
  void multiply_row(const Bf16* left, const Bf16* right, std::int64_t width, float* product,
                    std::int64_t stride) const {
    const std::int64_t step = part(depth_, kDepthAtOnce), rest = 2 * panel_;
    for (std::int64_t k = 0; k < depth_; k += step)
      for (std::int64_t v = 0; v < width; ++v) {
        const std::int64_t depth = std::min(step, depth_ - k);
        const Bf16* const l = left + k * kTile;
        const Bf16* const r = right + v * pair_ + k * kTile;
        multiply(l, r, panel_, depth, k == 0, product + v * kPair, stride);
        if (!split_) continue;
        multiply(l, r + rest, panel_, depth, false, product + v * kPair, stride);
        multiply(l + rest, r, panel_, depth, false, product + v * kPair, stride);
      }
  }

  bool split_;
  Operand left_, right_;
  std::int64_t depth_, panel_, pair_;  // registers of a panel; numbers from one to the next, from a pair to the next
  PieceFunction chain_;
  std::shared_ptr<const AlignedBytes> packed_right_;  // if it stays
};

}  // namespace

bool has_amx() {
  constexpr long kAskForTiles = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM and the number of the registers' state
  static const bool granted = syscall(SYS_arch_prctl, kAskForTiles, kTileData) == 0;
  return granted && instruction_set() == "avx512_core_amx";
}

std::function<void()> amx_kernel(const MatmulSpec& spec, PieceFunction chain, GatheredRows b) {
  return AmxProduct(spec, std::move(chain), std::move(b));
}

}  // namespace gan::runtime

#else

namespace gan::runtime {
bool has_amx() { return false; }
std::function<void()> amx_kernel(const MatmulSpec&, PieceFunction, GatheredRows) { return {}; }
}  // namespace gan::runtime

#endif
