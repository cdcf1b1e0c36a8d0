#include "runtime/cpu/packed_product.h"

#ifdef __x86_64__

#ifndef __clang__
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"  // GCC 12 warns of its own intrinsics (bug 105593)
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <xbyak/xbyak_util.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "base/integer.h"
#include "base/parallel.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/sums.h"
#include "runtime/cpu/workspace.h"

// For functions that need more than baseline x86-64.
#define GAN_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq"), noinline))
#define GAN_FP16 __attribute__((target("avx512fp16,avx512f,avx512bw,avx512vl,avx512dq")))
#define GAN_BF16 __attribute__((target("avx512bf16,avx512f,avx512bw,avx512vl,avx512dq")))

namespace gan::runtime::cpu {

namespace {

using Bf16 = std::uint16_t;

// Most tiles of depth per pass: two panels of this many stay in the L1 cache. For fp16 it also bounds the sums: each
// lane adds 32 products in fp16 (kFp16Sum tiles), and up to kVectorDepthAtOnce / kFp16Sum such sums.
constexpr std::int64_t kDepthAtOnce = 16, kVectorDepthAtOnce = 8, kFp16Sum = 2;
// The largest possible sum is finite in fp16.
static_assert((1 << 2 * kLargestFp16) * kVectorDepthAtOnce * kTileDepth < 65504);
constexpr std::int64_t kVectorRows = 8;  // rows of the left operand per pass of vectors
// Bytes of packed operands: a power of two and room for the padding of panels. The left one stays in the L2 cache,
// while parts of the right one are packed to one place, which stays in the cache, too. The fp16 kernel reads operands
// more slowly, if need be from L3, so packing more at once pays.
constexpr std::int64_t kLeftBytes = (1 << 20) + (1 << 14), kVectorLeftBytes = (1 << 21) + (1 << 15);
constexpr std::int64_t kRightBytes = (1 << 17) + (1 << 12), kVectorRightBytes = (1 << 19) + (1 << 14);

struct alignas(64) TileConfiguration {
  std::uint8_t palette = 1, start_row = 0, reserved[14] = {};
  std::uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
  std::uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
};
constexpr TileConfiguration kConfiguration;

GAN_AMX void begin_tiles() { _tile_loadconfig(&kConfiguration); }

GAN_AMX void end_tiles() { _tile_release(); }

/// Computes [32, 32] elements of the product from `depth` tiles of two packed panels of each operand; adds them to
/// `product`, or overwrites it if `overwrite`. The right operand bypasses the L1 cache, where the left one stays for
/// the next columns. `panel`: elements between the two panels of an operand; `row`: elements between rows of the
/// product.
GAN_AMX void multiply_tiles(const Bf16* left, const Bf16* right, std::int64_t panel, std::int64_t depth, bool overwrite,
                            float* product, std::int64_t row) {
  float* const below = product + kTileLines * row;
  row *= sizeof(float);
  asm volatile("" ::: "memory");  // the intrinsics of GCC do not declare their memory accesses
  if (overwrite) {
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
  for (std::int64_t k = 0; k < depth * kTileElements; k += kTileElements) {
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

// fp16 vectors are __m512i and use assembly, because Clang 14 has the intrinsics only if the whole file may use AVX-512
// FP16.
GAN_FP16 inline __m512i add_product(__m512i sums, __m512i a, __m512i b) {
  asm("vfmadd231ph %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}

GAN_FP16 inline __m512i add_fp16(__m512i a, __m512i b) {
  __m512i sums;
  asm("vaddph %2, %1, %0" : "=v"(sums) : "v"(a), "v"(b));
  return sums;
}

/// The sums of the even elements along depth (lower 16 bits of each lane) and the odd ones (upper 16 bits), added and
/// widened to f32.
GAN_FP16 inline __m512 pair_sums(__m512i sums) {
  const __m256i both = _mm512_cvtepi32_epi16(add_fp16(sums, _mm512_rol_epi32(sums, 16)));
  __m512 wide;
  asm("vcvtph2psx %1, %0" : "=v"(wide) : "v"(both));
  return wide;
}

/// multiply_tiles for fp16, tiles [begin, end) of depth: pairs of elements of the left operand are broadcast and
/// multiplied by the pairs of the right one. Sums of kFp16Sum tiles are added to the total, which loses less precision
/// than adding product after product.
GAN_FP16 __attribute__((noinline)) void multiply_fp16(const Bf16* left, const Bf16* right, std::int64_t panel,
                                                      std::int64_t begin, std::int64_t end, float* product,
                                                      std::int64_t row) {
  for (std::int64_t line = 0; line < kPairLines; line += kVectorRows) {
    const Bf16* const left_panel = left + line / kTileLines * panel;
    const Bf16* l = left_panel + begin * kTileElements + line % kTileLines * kTileDepth;
    const Bf16* r = right + begin * kTileElements;
    __m512i total[kVectorRows][2], sums[kVectorRows][2];
    for (std::int64_t from = begin; from < end; from += kFp16Sum) {
      for (auto& of_row : sums) of_row[0] = of_row[1] = _mm512_setzero_si512();
      for (std::int64_t t = from; t < std::min(from + kFp16Sum, end); ++t, l += kTileElements, r += kTileElements)
#pragma GCC unroll 4
        for (std::int64_t k = 0; k < kTileDepth; k += 2) {
          const __m512i first = _mm512_load_si512(r + k * kTileLines),
                        second = _mm512_load_si512(r + panel + k * kTileLines);
          for (std::int64_t i = 0; i < kVectorRows; ++i) {
            std::int32_t pair;
            std::memcpy(&pair, l + i * kTileDepth + k, sizeof pair);
            const __m512i elements = _mm512_set1_epi32(pair);
            sums[i][0] = add_product(sums[i][0], elements, first);
            sums[i][1] = add_product(sums[i][1], elements, second);
          }
        }
      for (std::int64_t i = 0; i < kVectorRows; ++i)
        for (std::int64_t j = 0; j < 2; ++j)
          total[i][j] = from > begin ? add_fp16(total[i][j], sums[i][j]) : sums[i][j];
    }
    for (std::int64_t i = 0; i < kVectorRows; ++i) {
      const __m512 of_row = _mm512_set1_ps(scales_of(left_panel, panel)->powers[line % kTileLines + i]);
      for (std::int64_t j = 0; j < 2; ++j) {
        float* const dst = product + (line + i) * row + j * kTileLines;
        const __m512 so_far = begin == 0 ? _mm512_setzero_ps() : _mm512_load_ps(dst);
        const __m512 scaled = _mm512_mul_ps(pair_sums(total[i][j]), of_row);
        _mm512_store_ps(dst,
                        _mm512_fmadd_ps(scaled, _mm512_loadu_ps(scales_of(right + j * panel, panel)->powers), so_far));
      }
    }
  }
}

/// The sums of pairs of bf16 products, added to `sums` in f32. Assembly as for fp16: the type of the intrinsic's
/// operands differs between compilers.
GAN_BF16 inline __m512 add_pairs(__m512 sums, __m512i a, __m512i b) {
  asm("vdpbf16ps %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}

/// multiply_tiles by vectors: pairs of elements of the left operand are broadcast and multiplied by the pairs of the
/// right one.
GAN_BF16 __attribute__((noinline)) void multiply_vectors(const Bf16* left, const Bf16* right, std::int64_t panel,
                                                         std::int64_t depth, bool overwrite, float* product,
                                                         std::int64_t row) {
  for (std::int64_t line = 0; line < kPairLines; line += kVectorRows) {
    const Bf16* l = left + line / kTileLines * panel + line % kTileLines * kTileDepth;
    const Bf16* r = right;
    float* const dst = product + line * row;
    __m512 sums[kVectorRows][2];
    for (std::int64_t i = 0; i < kVectorRows; ++i)
      for (std::int64_t j = 0; j < 2; ++j)
        sums[i][j] = overwrite ? _mm512_setzero_ps() : _mm512_load_ps(dst + i * row + j * kTileLines);
    for (std::int64_t t = 0; t < depth; ++t, l += kTileElements, r += kTileElements)
#pragma GCC unroll 4
      for (std::int64_t k = 0; k < kTileDepth; k += 2) {
        const __m512i first = _mm512_load_si512(r + k * kTileLines),
                      second = _mm512_load_si512(r + panel + k * kTileLines);
        for (std::int64_t i = 0; i < kVectorRows; ++i) {
          std::int32_t pair;
          std::memcpy(&pair, l + i * kTileDepth + k, sizeof pair);
          const __m512i elements = _mm512_set1_epi32(pair);
          sums[i][0] = add_pairs(sums[i][0], elements, first);
          sums[i][1] = add_pairs(sums[i][1], elements, second);
        }
      }
    for (std::int64_t i = 0; i < kVectorRows; ++i)
      for (std::int64_t j = 0; j < 2; ++j) _mm512_store_ps(dst + i * row + j * kTileLines, sums[i][j]);
  }
}

using base::divide_up;

/// The size of the parts if `count` is divided into the fewest equal parts of at most `most`.
std::int64_t part_size(std::int64_t count, std::int64_t most) {
  return divide_up(count, divide_up(count, std::max<std::int64_t>(most, 1)));
}

static_assert(GatheredRows::kLines == kTileLines);
static_assert(kPairLines % kSumRows == 0);  // chains that sum over rows need this

class PackedProduct {
 public:
  PackedProduct(const BoundMatmul& spec, PieceFunction chain, GatheredRows gathered)
      : with_(multiplier()),
        left_{spec.a, spec.m, spec.k, !spec.transpose_a, true, form()},
        right_{spec.b, spec.n, spec.k, spec.transpose_b, false, form()},
        depth_(divide_up(spec.k, kTileDepth)),
        // Not a power of two, so that panels do not compete for a few cache sets.
        panel_(depth_ * kTileElements + (with_ == Multiplier::fp16 ? kPanelRoom : kTileDepth)),
        pair_(2 * panel_),
        chain_(std::move(chain)) {
    if (spec.operands != graph::DType::bf16) base::fail_run("packed products are of bf16");
    if (!gathered.rows.empty()) {
      if (spec.transpose_b || spec.frozen_b) base::fail_run("gathered b is transposed or is frozen");
      // Offsets are needed up to whole tiles, and for the rows that are prefetched.
      gathered.rows.resize(static_cast<std::size_t>((depth_ + 2) * kTileDepth), gathered.rows.back());
      gathered.blocks.resize(static_cast<std::size_t>(2 * divide_up(spec.n, kPairLines)), gathered.blocks.back());
      right_.gathered = std::make_shared<const GatheredRows>(std::move(gathered));
    }
    if (!spec.frozen_b) return;
    const std::int64_t columns = divide_up(right_.lines, kPairLines);
    auto packed = std::make_shared<Buffer>(static_cast<std::size_t>(columns * pair_) * sizeof(Bf16));
    pack(right_, 0, columns, panel_, reinterpret_cast<Bf16*>(packed->data()));
    packed_right_ = packed;
  }

  /// Rows are divided between the threads, or columns if there are few rows. Each thread packs all of the other operand
  /// unless that is packed already.
  void operator()() const {
    const std::int64_t rows = divide_up(left_.lines, kPairLines), columns = divide_up(right_.lines, kPairLines);
    const double operations = 2.0 * static_cast<double>(rows * kPairLines) * static_cast<double>(columns * kPairLines) *
                              static_cast<double>(left_.depth);
    const bool by_rows = 2 * rows >= columns;
    const std::int64_t divided = by_rows ? rows : columns;
    const auto grain = static_cast<std::int64_t>(static_cast<double>(divided) * kOperationsOfAThread / operations) + 1;
    base::parallel_for(divided, grain, [&](std::int64_t begin, std::int64_t end) {
      const bool tiles = with_ == Multiplier::amx;
      if (tiles) begin_tiles();
      if (by_rows)
        run(begin, end, 0, columns);
      else
        run(0, rows, begin, end);
      if (tiles) end_tiles();
    });
  }

 private:
  PackedForm form() const { return with_ == Multiplier::fp16 ? PackedForm::fp16 : PackedForm::bf16; }

  // Multiplies pairs of panels [row, row_end) of the left operand by [column, column_end) of the right one.
  void run(std::int64_t row, std::int64_t row_end, std::int64_t column, std::int64_t column_end) const {
    const bool vectors = with_ != Multiplier::amx;
    const std::int64_t pair_bytes = pair_ * static_cast<std::int64_t>(sizeof(Bf16));
    const std::int64_t height = part_size(row_end - row, (vectors ? kVectorLeftBytes : kLeftBytes) / pair_bytes);
    const std::int64_t at_once = (vectors ? kVectorRightBytes : kRightBytes) / pair_bytes;
    const std::int64_t width = part_size(column_end - column, std::max<std::int64_t>(at_once, 2));
    const std::int64_t stride = width * kPairLines + kTileLines;  // not a power of two either
    const std::int64_t to_pack = packed_right_ ? 0 : width;
    std::byte* const memory = thread_scratch<std::byte>((height + to_pack) * pair_bytes + kPairLines * stride * 4);
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
          chain_({.row = i * kPairLines,
                  .row_end = std::min((i + 1) * kPairLines, left_.lines),
                  .column = j * kPairLines,
                  .column_end = std::min(j_end * kPairLines, right_.lines),
                  .product = product,
                  .product_stride = stride});
        }
      }
    }
  }

  /// Computes 32 rows of the product from two panels of the left operand, part of the depth at a time.
  void multiply_row(const Bf16* left, const Bf16* right, std::int64_t width, float* product,
                    std::int64_t stride) const {
    const std::int64_t step = part_size(depth_, with_ == Multiplier::amx ? kDepthAtOnce : kVectorDepthAtOnce);
    for (std::int64_t k = 0; k < depth_; k += step)
      for (std::int64_t v = 0; v < width; ++v) {
        const std::int64_t depth = std::min(step, depth_ - k);
        float* const dst = product + v * kPairLines;
        if (with_ == Multiplier::fp16)
          multiply_fp16(left, right + v * pair_, panel_, k, k + depth, dst, stride);
        else
          (with_ == Multiplier::amx ? multiply_tiles : multiply_vectors)(
              left + k * kTileElements, right + v * pair_ + k * kTileElements, panel_, depth, k == 0, dst, stride);
      }
  }

  Multiplier with_;
  PackedOperand left_, right_;
  std::int64_t depth_, panel_, pair_;  // tiles per panel; elements from panel to panel and from pair to pair
  PieceFunction chain_;
  std::shared_ptr<const Buffer> packed_right_;  // null unless b is frozen
};

bool fp16_pretended_away = false;

bool has_amx() {
  constexpr long kRequestPermission = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM; XSAVE component of tile data
  static const bool permitted = syscall(SYS_arch_prctl, kRequestPermission, kTileData) == 0;
  return permitted && instruction_set() == "avx512_core_amx";
}

bool has_fp16() {
  static const bool found = Xbyak::util::Cpu().has(Xbyak::util::Cpu::tAVX512_FP16);
  return found && !fp16_pretended_away && has_bf16();
}

}  // namespace

Multiplier multiplier() {
  if (has_amx()) return Multiplier::amx;
  if (has_fp16()) return Multiplier::fp16;
  return has_bf16() ? Multiplier::bf16 : Multiplier::none;
}

void pretend_no_fp16() { fp16_pretended_away = true; }

std::function<void()> packed_product_kernel(const BoundMatmul& spec, PieceFunction chain, GatheredRows b) {
  return PackedProduct(spec, std::move(chain), std::move(b));
}

}  // namespace gan::runtime::cpu

#else

#include "runtime/cpu/processor.h"

namespace gan::runtime::cpu {
Multiplier multiplier() { return Multiplier::none; }
void pretend_no_fp16() {}
std::function<void()> packed_product_kernel(const BoundMatmul&, PieceFunction, GatheredRows) { return {}; }
}  // namespace gan::runtime::cpu

#endif
