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
#include "base/parallel.h"
#include "runtime/cpu/processor.h"
#include "runtime/cpu/sums.h"
#include "runtime/memory.h"

// What needs more than the least x86-64 processor says so, function by function.
#define GAN_AMX __attribute__((target("amx-tile,amx-bf16,avx512f,avx512bw,avx512vl,avx512dq"), noinline))
#define GAN_FP16 __attribute__((target("avx512fp16,avx512f,avx512bw,avx512vl,avx512dq")))

namespace gan::runtime::cpu {

namespace {

using Bf16 = std::uint16_t;

// Registers of depth at once, at most: two panels of so many stay in the L1 cache. Of halves their number bounds, too,
// how many sums are added up in fp16: of 32 products in each lane, which kFp16Sum registers give.
constexpr std::int64_t kDepthAtOnce = 16, kFp16DepthAtOnce = 8, kFp16Sum = 2;
static_assert((1 << 2 * kLargestFp16) * kFp16DepthAtOnce * kTileDepth < 65504);  // the largest sum is one of fp16
constexpr std::int64_t kFp16Rows = 8;                                            // that are multiplied together
// Bytes of packed operands, a power of two and room for what keeps panels apart: the left one stays in the L2 cache
// while a little of the right one at a time is packed to the same place, which the cache then still holds. Halves are
// read more slowly, from L3 if need be: it pays to pack less often.
constexpr std::int64_t kLeftBytes = (1 << 20) + (1 << 14), kFp16LeftBytes = (1 << 21) + (1 << 15);
constexpr std::int64_t kRightBytes = (1 << 17) + (1 << 12), kFp16RightBytes = (1 << 19) + (1 << 14);
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
GAN_AMX void multiply_tiles(const Bf16* left, const Bf16* right, std::int64_t panel, std::int64_t depth, bool anew,
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

// Halves as __m512i, by assembly: Clang 14 knows intrinsics for them only where the whole file may use AVX-512 FP16.
GAN_FP16 inline __m512i add_product(__m512i sums, __m512i a, __m512i b) {
  asm("vfmadd231ph %2, %1, %0" : "+v"(sums) : "v"(a), "v"(b));
  return sums;
}

GAN_FP16 inline __m512i add_fp16(__m512i a, __m512i b) {
  __m512i sums;
  asm("vaddph %2, %1, %0" : "=v"(sums) : "v"(a), "v"(b));
  return sums;
}

/// Sums of the even numbers of depth, in the low halves of 32 bits, and of the odd ones together, in f32.
GAN_FP16 inline __m512 added_up(__m512i sums) {
  const __m256i both = _mm512_cvtepi32_epi16(add_fp16(sums, _mm512_rol_epi32(sums, 16)));
  __m512 wide;
  asm("vcvtph2psx %1, %0" : "=v"(wide) : "v"(both));
  return wide;
}

/// The same as multiply_tiles for halves, from register `begin` to `end` of two pairs of panels: pairs of the left
/// operand's numbers are broadcast to the pairs of the right one. Sums of a few products are added to the sums of those
/// before, which errs less than adding product after product.
GAN_FP16 __attribute__((noinline)) void multiply_fp16(const Bf16* left, const Bf16* right, std::int64_t panel,
                                                      std::int64_t begin, std::int64_t end, float* product,
                                                      std::int64_t row) {
  for (std::int64_t line = 0; line < kPairLines; line += kFp16Rows) {
    const Bf16* const left_panel = left + line / kTileLines * panel;
    const Bf16* l = left_panel + begin * kTileElements + line % kTileLines * kTileDepth;
    const Bf16* r = right + begin * kTileElements;
    __m512i total[kFp16Rows][2], sums[kFp16Rows][2];
    for (std::int64_t from = begin; from < end; from += kFp16Sum) {
      for (auto& of_row : sums) of_row[0] = of_row[1] = _mm512_setzero_si512();
      for (std::int64_t t = from; t < std::min(from + kFp16Sum, end); ++t, l += kTileElements, r += kTileElements)
#pragma GCC unroll 4
        for (std::int64_t k = 0; k < kTileDepth; k += 2) {
          const __m512i first = _mm512_load_si512(r + k * kTileLines),
                        second = _mm512_load_si512(r + panel + k * kTileLines);
          for (std::int64_t i = 0; i < kFp16Rows; ++i) {
            std::int32_t pair;
            std::memcpy(&pair, l + i * kTileDepth + k, sizeof pair);
            const __m512i numbers = _mm512_set1_epi32(pair);
            sums[i][0] = add_product(sums[i][0], numbers, first);
            sums[i][1] = add_product(sums[i][1], numbers, second);
          }
        }
      for (std::int64_t i = 0; i < kFp16Rows; ++i)
        for (std::int64_t j = 0; j < 2; ++j)
          total[i][j] = from > begin ? add_fp16(total[i][j], sums[i][j]) : sums[i][j];
    }
    for (std::int64_t i = 0; i < kFp16Rows; ++i) {
      const __m512 of_row = _mm512_set1_ps(scales_of(left_panel, panel)->powers[line % kTileLines + i]);
      for (std::int64_t j = 0; j < 2; ++j) {
        float* const dst = product + (line + i) * row + j * kTileLines;
        const __m512 so_far = begin == 0 ? _mm512_setzero_ps() : _mm512_load_ps(dst);
        const __m512 scaled = _mm512_mul_ps(added_up(total[i][j]), of_row);
        _mm512_store_ps(dst,
                        _mm512_fmadd_ps(scaled, _mm512_loadu_ps(scales_of(right + j * panel, panel)->powers), so_far));
      }
    }
  }
}

std::int64_t divide_up(std::int64_t a, std::int64_t b) { return (a + b - 1) / b; }

/// Memory of a thread that only grows.
std::byte* scratch(std::int64_t bytes) {
  static thread_local Buffer memory;
  if (memory.size() < static_cast<std::size_t>(bytes)) memory = Buffer(static_cast<std::size_t>(bytes));
  return memory.data();
}

/// The largest number of equal parts of `count` of at most `most` each: how large these are.
std::int64_t part(std::int64_t count, std::int64_t most) {
  return divide_up(count, divide_up(count, std::max<std::int64_t>(most, 1)));
}

static_assert(GatheredRows::kLines == kTileLines);
static_assert(kPairLines % kSumRows == 0);  // what chains want that add up rows

PackedForm form() { return multiplier() == Multiplier::amx ? PackedForm::bf16 : PackedForm::fp16; }

class PackedProduct {
 public:
  PackedProduct(const BoundMatmul& spec, PieceFunction chain, GatheredRows gathered)
      : form_(form()),
        left_{spec.a, spec.m, spec.k, !spec.transpose_a, true, form_},
        right_{spec.b, spec.n, spec.k, spec.transpose_b, false, form_},
        depth_(divide_up(spec.k, kTileDepth)),
        panel_(depth_ * kTileElements +
               (form_ == PackedForm::fp16 ? kPanelRoom
                                          : kTileDepth)),  // no power of two, which would crowd a few sets of the cache
        pair_(2 * panel_),
        chain_(std::move(chain)) {
    if (spec.operands != graph::DType::bf16) base::fail_run("packed products are of bf16");
    if (!gathered.rows.empty()) {
      if (spec.transpose_b || spec.frozen_b) base::fail_run("gathered rows are for bf16 as it lies");
      // Addresses are made for whole registers, and of what is asked for ahead.
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

  /// Rows are divided between the threads, unless there are few; each packs all of the other operand for itself, if
  /// that is not packed already.
  void operator()() const {
    const std::int64_t rows = divide_up(left_.lines, kPairLines), columns = divide_up(right_.lines, kPairLines);
    const double operations = 2.0 * static_cast<double>(rows * kPairLines) * static_cast<double>(columns * kPairLines) *
                              static_cast<double>(left_.depth);
    const bool by_rows = 2 * rows >= columns;
    const std::int64_t divided = by_rows ? rows : columns;
    const auto grain = static_cast<std::int64_t>(static_cast<double>(divided) * kOperationsOfAThread / operations) + 1;
    base::parallel_for(divided, grain, [&](std::int64_t begin, std::int64_t end) {
      const bool tiles = form_ != PackedForm::fp16;
      if (tiles) begin_tiles();
      if (by_rows)
        run(begin, end, 0, columns);
      else
        run(0, rows, begin, end);
      if (tiles) end_tiles();
    });
  }

 private:
  // Pairs of panels [row, row_end) of the left operand with [column, column_end) of the right one.
  void run(std::int64_t row, std::int64_t row_end, std::int64_t column, std::int64_t column_end) const {
    const bool fp16 = form_ == PackedForm::fp16;
    const std::int64_t pair_bytes = pair_ * static_cast<std::int64_t>(sizeof(Bf16));
    const std::int64_t height = part(row_end - row, (fp16 ? kFp16LeftBytes : kLeftBytes) / pair_bytes);
    const std::int64_t at_once = (fp16 ? kFp16RightBytes : kRightBytes) / pair_bytes;
    const std::int64_t width = part(column_end - column, std::max<std::int64_t>(at_once, 2));
    const std::int64_t stride = width * kPairLines + kTileLines;  // no power of two, either
    const std::int64_t to_pack = packed_right_ ? 0 : width;
    std::byte* const memory = scratch((height + to_pack) * pair_bytes + kPairLines * stride * 4);
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

  /// A row of the product from two panels of the left operand, some of their depth at a time.
  void multiply_row(const Bf16* left, const Bf16* right, std::int64_t width, float* product,
                    std::int64_t stride) const {
    const bool fp16 = form_ == PackedForm::fp16;
    const std::int64_t step = part(depth_, fp16 ? kFp16DepthAtOnce : kDepthAtOnce);
    for (std::int64_t k = 0; k < depth_; k += step)
      for (std::int64_t v = 0; v < width; ++v) {
        const std::int64_t depth = std::min(step, depth_ - k);
        float* const dst = product + v * kPairLines;
        if (fp16)
          multiply_fp16(left, right + v * pair_, panel_, k, k + depth, dst, stride);
        else
          multiply_tiles(left + k * kTileElements, right + v * pair_ + k * kTileElements, panel_, depth, k == 0, dst,
                         stride);
      }
  }

  PackedForm form_;
  PackedOperand left_, right_;
  std::int64_t depth_, panel_, pair_;  // registers of a panel; numbers from one to the next, from a pair to the next
  PieceFunction chain_;
  std::shared_ptr<const Buffer> packed_right_;  // if it stays
};

bool fp16_pretended_away = false;

bool has_amx() {
  constexpr long kAskForTiles = 0x1023, kTileData = 18;  // ARCH_REQ_XCOMP_PERM and the number of the registers' state
  static const bool granted = syscall(SYS_arch_prctl, kAskForTiles, kTileData) == 0;
  return granted && instruction_set() == "avx512_core_amx";
}

bool has_fp16() {
  static const bool found = Xbyak::util::Cpu().has(Xbyak::util::Cpu::tAVX512_FP16);
  return found && !fp16_pretended_away && has_bf16();
}

}  // namespace

Multiplier multiplier() { return has_amx() ? Multiplier::amx : has_fp16() ? Multiplier::fp16 : Multiplier::none; }

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
