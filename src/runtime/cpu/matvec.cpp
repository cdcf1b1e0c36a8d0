// Compiled once for each instruction set; the best one for this processor is chosen at run time.
#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/cpu/matvec.cpp"
// The order matters: foreach_target.h includes this file again for every other instruction set.
#include <hwy/foreach_target.h>  // NOLINT

#include <hwy/highway.h>

#include <algorithm>
#include <cmath>
#include <memory>

#include "base/bf16.h"
#include "base/parallel.h"
#include "runtime/cpu/matvec.h"
#include "runtime/cpu/simd.h"

HWY_BEFORE_NAMESPACE();
namespace gan::runtime::cpu::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

// Loads elements of either type, f32 or bf16 (as bits), as a vector of f32.
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const float* src) {
  return hn::LoadU(d, src);
}
template <class D>
HWY_INLINE hn::Vec<D> load(D d, const std::uint16_t* src) {
  const hn::Rebind<std::uint32_t, D> wide;
  const auto bits = hn::PromoteTo(wide, hn::LoadU(hn::Rebind<std::uint16_t, D>(), src));
  return hn::BitCast(d, hn::ShiftLeft<16>(bits));
}

HWY_INLINE float widen(float value) { return value; }
HWY_INLINE float widen(std::uint16_t bits) { return base::from_bf16(bits); }

// dst[r] = sum over i of w[r, i] x[i], kRows rows at a time: several streams hide the latency of memory.
template <int kRows, typename W>
HWY_INLINE void dot_together(const W* w, const float* x, float* dst, std::size_t k) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  auto sum0 = hn::Zero(d), sum1 = hn::Zero(d), sum2 = hn::Zero(d), sum3 = hn::Zero(d);
  std::size_t i = 0;
  for (; i + lanes <= k; i += lanes) {
    const auto v = hn::LoadU(d, x + i);
    // Rows of bf16 have half the bytes, so the next rows are prefetched to use the memory bandwidth.
    if (kRows > 1 && sizeof(W) == 2)
      for (std::size_t r = 0; r < kRows; ++r) __builtin_prefetch(w + (kRows + r) * k + i);
    sum0 = hn::MulAdd(load(d, w + i), v, sum0);
    if (kRows > 1) sum1 = hn::MulAdd(load(d, w + k + i), v, sum1);
    if (kRows > 2) sum2 = hn::MulAdd(load(d, w + 2 * k + i), v, sum2);
    if (kRows > 3) sum3 = hn::MulAdd(load(d, w + 3 * k + i), v, sum3);
  }
  float total[4] = {hn::GetLane(hn::SumOfLanes(d, sum0)), hn::GetLane(hn::SumOfLanes(d, sum1)),
                    hn::GetLane(hn::SumOfLanes(d, sum2)), hn::GetLane(hn::SumOfLanes(d, sum3))};
  for (; i < k; ++i)
    for (std::size_t r = 0; r < kRows; ++r) total[r] += widen(w[r * k + i]) * x[i];
  std::copy_n(total, kRows, dst);
}

template <typename W>
HWY_INLINE void dot_rows(const W* w, const float* x, float* dst, std::size_t rows, std::size_t k) {
  const std::size_t blocks = rows / 4;
  for (std::size_t i = 0; i < blocks; ++i) dot_together<4>(w + 4 * i * k, x, dst + 4 * i, k);
  for (std::size_t r = 4 * blocks; r < rows; ++r) dot_together<1>(w + r * k, x, dst + r, k);
}

void dot(graph::DType dtype, const void* w, const float* x, float* dst, std::size_t rows, std::size_t k) {
  if (dtype == graph::DType::f32) return dot_rows(static_cast<const float*>(w), x, dst, rows, k);
  dot_rows(static_cast<const std::uint16_t*>(w), x, dst, rows, k);
}

// dst[c] = sum over i of x[i] w[i, c], 8 rows at a time, so that dst is read and written less often.
template <typename W>
HWY_INLINE void combine_rows(const W* w, const float* x, float* dst, std::size_t rows, std::size_t columns) {
  const hn::ScalableTag<float> d;
  const std::size_t lanes = hn::Lanes(d);
  std::fill_n(dst, columns, 0.0f);
  std::size_t i = 0;
  for (; i + 8 <= rows; i += 8) {
    const W* row = w + i * columns;
    std::size_t c = 0;
    for (; c + lanes <= columns; c += lanes) {
      if (sizeof(W) == 2)
        for (std::size_t r = 0; r < 8; ++r) __builtin_prefetch(row + (8 + r) * columns + c);
      auto even = hn::LoadU(d, dst + c), odd = hn::Zero(d);
      for (std::size_t r = 0; r < 8; r += 2) {
        even = hn::MulAdd(load(d, row + r * columns + c), hn::Set(d, x[i + r]), even);
        odd = hn::MulAdd(load(d, row + (r + 1) * columns + c), hn::Set(d, x[i + r + 1]), odd);
      }
      hn::StoreU(hn::Add(even, odd), d, dst + c);
    }
    for (; c < columns; ++c)
      for (std::size_t r = 0; r < 8; ++r) dst[c] += widen(row[r * columns + c]) * x[i + r];
  }
  for (; i < rows; ++i)
    for (std::size_t c = 0; c < columns; ++c) dst[c] += widen(w[i * columns + c]) * x[i];
}

void combine(graph::DType dtype, const void* w, const float* x, float* dst, std::size_t rows, std::size_t columns) {
  if (dtype == graph::DType::f32) return combine_rows(static_cast<const float*>(w), x, dst, rows, columns);
  combine_rows(static_cast<const std::uint16_t*>(w), x, dst, rows, columns);
}

}  // namespace gan::runtime::cpu::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace gan::runtime::cpu {

HWY_EXPORT(dot);
HWY_EXPORT(combine);

namespace {

constexpr std::int64_t kRowsOfPartialSum = 64;  // rows per partial sum
constexpr std::int64_t kParallelGrain = 8192;   // fewest elements of the matrix per thread

/// A vector and a matrix, stored [outputs, k] (by_rows) or [k, outputs].
struct Matvec {
  /// `row`: [1, k] x b, else a x [k, 1].
  Matvec(const BoundMatmul& spec, bool row) {
    matrix = row ? spec.b : spec.a;
    by_rows = row ? spec.transpose_b : !spec.transpose_a;
    outputs = row ? spec.n : spec.m;
    k = spec.k;
    threads = !(row && spec.frozen_b);
    const void* vector = row ? spec.a : spec.b;
    dtype = spec.operands;
    if (dtype == graph::DType::bf16)
      narrow_x = static_cast<const std::uint16_t*>(vector);
    else
      x = static_cast<const float*>(vector);
  }

  const void* matrix = nullptr;  ///< [outputs, k], or [k, outputs] if not by_rows
  const float* x = nullptr;      ///< [k]
  float* y = nullptr;            ///< [outputs]
  std::int64_t outputs = 0, k = 0;
  bool by_rows = true, threads = true;
  graph::DType dtype = graph::DType::f32;
  const std::uint16_t* narrow_x = nullptr;  ///< x as bf16, null if it is f32
  float *wide_x = nullptr, *partial_sums = nullptr;

  std::int64_t partial_count() const { return by_rows ? 0 : (k + kRowsOfPartialSum - 1) / kRowsOfPartialSum * outputs; }

  const std::byte* at(std::int64_t element) const {
    return static_cast<const std::byte*>(matrix) +
           static_cast<std::size_t>(element) * (dtype == graph::DType::f32 ? 4 : 2);
  }

  void run() {
    if (dtype == graph::DType::bf16) simd::widen(narrow_x, wide_x, static_cast<std::size_t>(k));
    if (by_rows) {
      run_by_rows();
    } else {
      combine_chunks();
    }
  }

  void run_by_rows() {
    constexpr std::int64_t kRowsTogether = 4;  // not divided between threads, whose number must not change results
    const std::int64_t blocks = (outputs + kRowsTogether - 1) / kRowsTogether;
    base::parallel_for(blocks, grain(blocks, kRowsTogether * k), [&](std::int64_t begin, std::int64_t end) {
      const std::int64_t first = begin * kRowsTogether, count = std::min(end * kRowsTogether, outputs) - first;
      HWY_DYNAMIC_DISPATCH(dot)
      (dtype, at(first * k), x, y + first, static_cast<std::size_t>(count), static_cast<std::size_t>(k));
    });
  }

  void combine_chunks() const {
    const std::int64_t chunks = (k + kRowsOfPartialSum - 1) / kRowsOfPartialSum;
    base::parallel_for(chunks, grain(chunks, kRowsOfPartialSum * outputs), [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) HWY_DYNAMIC_DISPATCH(combine)
      (dtype, at(i * kRowsOfPartialSum * outputs), x + i * kRowsOfPartialSum, partial_sums + i * outputs,
       static_cast<std::size_t>(std::min(kRowsOfPartialSum, k - i * kRowsOfPartialSum)),
       static_cast<std::size_t>(outputs));
    });
    std::copy_n(partial_sums, outputs, y);
    for (std::int64_t i = 1; i < chunks; ++i)
      simd::accumulate(partial_sums + i * outputs, y, static_cast<std::size_t>(outputs));
  }

  /// Fewest parts of `elements` elements per thread.
  std::int64_t grain(std::int64_t parts, std::int64_t elements) const {
    return threads ? std::max<std::int64_t>(1, kParallelGrain / elements) : parts;
  }
};

/// The threads among which the rows of a product are divided.
std::int64_t workers_of(const Product& product) { return std::min<std::int64_t>(base::threads(), product.matmul->m); }

}  // namespace

std::size_t matvec_workspace(const Product& product) {
  const Matvec kernel(*product.matmul, product.matmul->m == 1);
  return Workspace::bytes_of<float>(kernel.dtype == graph::DType::bf16 ? kernel.k : 0) +
         Workspace::bytes_of<float>(kernel.partial_count());
}

MadeProduct matvec_kernel(const Product& product, Workspace& workspace) {
  auto kernel = std::make_shared<Matvec>(*product.matmul, product.matmul->m == 1);
  if (kernel->dtype == graph::DType::bf16) kernel->x = kernel->wide_x = workspace.take<float>(kernel->k);
  kernel->partial_sums = workspace.take<float>(kernel->partial_count());
  kernel->y = product.dst();
  return {[kernel] { kernel->run(); }};
}

bool is_matvec_by_rows(const Product& product) {
  return product.matmul && product.matmul->m > 1 && product.matmul->m <= product.compact_rows &&
         product.matmul->frozen_b && !product.matmul->transpose_a && product.matmul->operands == graph::DType::f32;
}

std::size_t matvec_by_rows_workspace(const Product& product) {
  return Workspace::bytes_of<float>(workers_of(product) * Matvec(*product.matmul, /*row=*/true).partial_count());
}

MadeProduct matvec_by_rows(const Product& product, Workspace& workspace) {
  Matvec kernel(*product.matmul, /*row=*/true);
  const std::int64_t workers = workers_of(product);
  kernel.partial_sums = workspace.take<float>(workers * kernel.partial_count());
  return {[kernel, workers, dst = product.dst(), m = product.matmul->m] {
    base::parallel_for(workers, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t worker = begin; worker < end; ++worker) {
        Matvec one = kernel;
        one.partial_sums += worker * kernel.partial_count();
        for (std::int64_t i = m * worker / workers; i < m * (worker + 1) / workers; ++i) {
          one.x = kernel.x + i * kernel.k;
          one.y = dst + i * kernel.outputs;
          one.run();
        }
      }
    });
  }};
}

}  // namespace gan::runtime::cpu
#endif  // HWY_ONCE
