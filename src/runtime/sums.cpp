#include <algorithm>
#include <vector>

#include "base/parallel.h"
#include "runtime/kernels.h"
#include "runtime/simd.h"

namespace gan::runtime {

namespace {

constexpr std::int64_t kSumChunk = 4096;  // partial sums of this length bound the rounding error

}  // namespace

void sum_over_rows(const float* src, float* dst, std::int64_t rows, std::int64_t columns) {
  const std::int64_t grain = std::max<std::int64_t>(16, kElementwiseGrain / std::max<std::int64_t>(rows, 1));
  base::parallel_for(columns, grain, [&](std::int64_t begin, std::int64_t end) {
    const auto count = static_cast<std::size_t>(end - begin);
    std::fill(dst + begin, dst + end, 0.0f);
    std::vector<float> chunk(count);
    for (std::int64_t row = 0; row < rows; row += kSumRows) {
      std::fill(chunk.begin(), chunk.end(), 0.0f);
      for (std::int64_t r = row; r < std::min(rows, row + kSumRows); ++r)
        simd::accumulate(src + r * columns + begin, chunk.data(), count);
      simd::accumulate(chunk.data(), dst + begin, count);
    }
  });
}

void sum_over_columns(const float* src, float* dst, std::int64_t rows, std::int64_t columns) {
  if (rows == 1 && columns > kSumChunk) {
    // One long row: partial sums of fixed length, so that the threads do not change the result.
    const std::int64_t chunks = (columns + kSumChunk - 1) / kSumChunk;
    std::vector<float> partial(static_cast<std::size_t>(chunks));
    base::parallel_for(chunks, 4, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i)
        partial[static_cast<std::size_t>(i)] =
            simd::sum(src + i * kSumChunk, static_cast<std::size_t>(std::min(kSumChunk, columns - i * kSumChunk)));
    });
    *dst = simd::sum(partial.data(), partial.size());
    return;
  }
  const std::int64_t grain = std::max<std::int64_t>(1, kElementwiseGrain / std::max<std::int64_t>(columns, 1));
  base::parallel_for(rows, grain, [&](std::int64_t begin, std::int64_t end) {
    for (std::int64_t row = begin; row < end; ++row)
      dst[row] = simd::sum(src + row * columns, static_cast<std::size_t>(columns));
  });
}

}  // namespace gan::runtime
