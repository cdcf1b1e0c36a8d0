#include "runtime/cpu/f32_product.h"

#ifdef __x86_64__

#include <immintrin.h>

#include <algorithm>

#include "base/integer.h"
#include "base/parallel.h"
#include "runtime/cpu/processor.h"

#define GAN_AVX2 __attribute__((target("avx2,fma")))

namespace gan::runtime::cpu {

namespace {

// A tile of the result is 6 rows of 2 vectors of 8 lanes: with two vectors of b and one of a, 15 of the 16 registers.
constexpr std::int64_t kTileRows = 6, kLanes = 8, kTileColumns = 2 * kLanes;
constexpr std::int64_t kPanelDepth = 256;  // of a panel of b, whose 16 KB stay in the L1 cache
constexpr std::int64_t kTilesAtOnce = 24;  // rows of tiles whose panels of a, 150 KB, stay in the L2 cache

/// Computes a tile from panels [depth, kTileRows] of a and [depth, kTileColumns] of b; adds to it if `add` is set.
/// `stride`: elements between rows of the tile.
GAN_AVX2 void multiply_tile(const float* a, const float* b, std::int64_t depth, bool add, float* tile,
                            std::int64_t stride) {
  __m256 sums[kTileRows][2];
#pragma GCC unroll 6
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    sums[i][0] = _mm256_setzero_ps();
    sums[i][1] = _mm256_setzero_ps();
  }
  for (std::int64_t k = 0; k < depth; ++k, a += kTileRows, b += kTileColumns) {
    const __m256 first = _mm256_load_ps(b), second = _mm256_load_ps(b + kLanes);
#pragma GCC unroll 6
    for (std::int64_t i = 0; i < kTileRows; ++i) {
      const __m256 element = _mm256_broadcast_ss(a + i);
      sums[i][0] = _mm256_fmadd_ps(element, first, sums[i][0]);
      sums[i][1] = _mm256_fmadd_ps(element, second, sums[i][1]);
    }
  }
#pragma GCC unroll 6
  for (std::int64_t i = 0; i < kTileRows; ++i) {
    float* const row = tile + i * stride;
    _mm256_storeu_ps(row, add ? _mm256_add_ps(_mm256_loadu_ps(row), sums[i][0]) : sums[i][0]);
    _mm256_storeu_ps(row + kLanes, add ? _mm256_add_ps(_mm256_loadu_ps(row + kLanes), sums[i][1]) : sums[i][1]);
  }
}

/// An operand of a product: `lines` rows of a, or columns of b, of `depth` elements each.
struct Operand {
  const float* data;
  std::int64_t lines, depth;
  bool along_lines;  ///< the elements of a line are contiguous, else those of a depth
};

/// Transposes 8 rows of 8 elements, `from` elements apart, to columns `to` elements apart.
GAN_AVX2 inline void transpose(const float* src, std::int64_t from, float* dst, std::int64_t to) {
  __m256 pairs[kLanes], fours[kLanes];
#pragma GCC unroll 4
  for (int i = 0; i < kLanes; i += 2) {
    const __m256 a = _mm256_loadu_ps(src + i * from), b = _mm256_loadu_ps(src + (i + 1) * from);
    pairs[i] = _mm256_unpacklo_ps(a, b);
    pairs[i + 1] = _mm256_unpackhi_ps(a, b);
  }
#pragma GCC unroll 2
  for (int i = 0; i < kLanes; i += 4)
#pragma GCC unroll 2
    for (int j = 0; j < 2; ++j) {
      fours[i + 2 * j] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0x44);
      fours[i + 2 * j + 1] = _mm256_shuffle_ps(pairs[i + j], pairs[i + 2 + j], 0xEE);
    }
#pragma GCC unroll 4
  for (int i = 0; i < kLanes / 2; ++i) {
    _mm256_storeu_ps(dst + i * to, _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x20));
    _mm256_storeu_ps(dst + (i + 4) * to, _mm256_permute2f128_ps(fours[i], fours[i + 4], 0x31));
  }
}

/// Packs `width` lines from `line` on, elements [begin, begin + depth) of them: dst [depth, width], 0 beyond the last
/// line.
template <std::int64_t width>
GAN_AVX2 void pack(const Operand& operand, std::int64_t line, std::int64_t begin, std::int64_t depth, float* dst) {
  const std::int64_t lines = std::min(width, operand.lines - line);
  if (lines < width) std::fill_n(dst, depth * width, 0.0f);
  if (!operand.along_lines) {
    const float* src = operand.data + begin * operand.lines + line;
    for (std::int64_t k = 0; k < depth; ++k, src += operand.lines, dst += width)
      if (lines == width)
        std::copy_n(src, width, dst);
      else
        std::copy_n(src, lines, dst);
    return;
  }
  const float* const src = operand.data + line * operand.depth + begin;
  std::int64_t k = 0;
  if (width % kLanes == 0 && lines == width)
    for (; k + kLanes <= depth; k += kLanes)
      for (std::int64_t i = 0; i < width; i += kLanes)
        transpose(src + i * operand.depth + k, operand.depth, dst + k * width + i, width);
  for (; k < depth; ++k)
    for (std::int64_t i = 0; i < lines; ++i) dst[k * width + i] = src[i * operand.depth + k];
}

class F32Product {
 public:
  explicit F32Product(const Product& product)
      : a_{static_cast<const float*>(product.matmul->a), product.matmul->m, product.matmul->k,
           !product.matmul->transpose_a},
        b_{static_cast<const float*>(product.matmul->b), product.matmul->n, product.matmul->k,
           product.matmul->transpose_b},
        dst_(product.dst()) {}

  /// The longer side of the result is divided between the threads; each packs all of the other operand.
  void operator()() const {
    const std::int64_t rows = base::divide_up(a_.lines, kTileRows), columns = base::divide_up(b_.lines, kTileColumns);
    const bool by_rows = a_.lines > b_.lines;
    const std::int64_t divided = by_rows ? rows : columns;
    const double operations =
        2.0 * static_cast<double>(a_.lines) * static_cast<double>(b_.lines) * static_cast<double>(a_.depth);
    const auto grain = static_cast<std::int64_t>(static_cast<double>(divided) * kOperationsOfAThread / operations) + 1;
    base::parallel_for(divided, grain, [&](std::int64_t begin, std::int64_t end) {
      if (by_rows)
        run(begin, end, 0, columns);
      else
        run(0, rows, begin, end);
    });
  }

 private:
  /// Computes rows [row, row_end) and columns [column, column_end) of tiles.
  void run(std::int64_t row, std::int64_t row_end, std::int64_t column, std::int64_t column_end) const {
    for (; row < row_end; row += kTilesAtOnce)
      run_block(row, std::min(row + kTilesAtOnce, row_end), column, column_end);
  }

  void run_block(std::int64_t row, std::int64_t row_end, std::int64_t column, std::int64_t column_end) const {
    const std::int64_t most = std::min(kPanelDepth, a_.depth);
    float* const right =
        thread_scratch<float>(most * ((row_end - row) * kTileRows + kTileColumns) + kTileRows * kTileColumns);
    float* const tile = right + most * kTileColumns;
    float* const left = tile + kTileRows * kTileColumns;
    for (std::int64_t begin = 0; begin < a_.depth; begin += kPanelDepth) {
      const std::int64_t depth = std::min(kPanelDepth, a_.depth - begin);
      for (std::int64_t i = row; i < row_end; ++i)
        pack<kTileRows>(a_, i * kTileRows, begin, depth, left + (i - row) * kTileRows * depth);
      for (std::int64_t j = column; j < column_end; ++j) {
        pack<kTileColumns>(b_, j * kTileColumns, begin, depth, right);
        const std::int64_t width = std::min(kTileColumns, b_.lines - j * kTileColumns);
        for (std::int64_t i = row; i < row_end; ++i) {
          float* const to = dst_ + i * kTileRows * b_.lines + j * kTileColumns;
          const float* const panel = left + (i - row) * kTileRows * depth;
          const std::int64_t height = std::min(kTileRows, a_.lines - i * kTileRows);
          if (height == kTileRows && width == kTileColumns) {
            multiply_tile(panel, right, depth, begin > 0, to, b_.lines);
            continue;
          }
          multiply_tile(panel, right, depth, false, tile, kTileColumns);
          for (std::int64_t y = 0; y < height; ++y)
            for (std::int64_t x = 0; x < width; ++x) {
              float& element = to[y * b_.lines + x];
              element = begin > 0 ? element + tile[y * kTileColumns + x] : tile[y * kTileColumns + x];
            }
        }
      }
    }
  }

  Operand a_, b_;
  float* dst_;
};

}  // namespace

MadeProduct f32_product(const Product& product, Workspace&) { return {F32Product(product)}; }

bool is_f32_product(const Product& p) {
  return !has_avx512() && has_avx2() && p.matmul && p.operands() == graph::DType::f32 && p.matmul->m > 1 &&
         p.matmul->n > 1 && !p.matmul->frozen_b;
}

}  // namespace gan::runtime::cpu

#else

namespace gan::runtime::cpu {
MadeProduct f32_product(const Product&, Workspace&) { return {}; }
bool is_f32_product(const Product&) { return false; }
}  // namespace gan::runtime::cpu

#endif
