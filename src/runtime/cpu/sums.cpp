#include "runtime/cpu/sums.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "graph/chain.h"
#include "runtime/cpu/chain.h"
#include "runtime/cpu/simd.h"

namespace gan::runtime::cpu {

namespace {

constexpr std::int64_t kSumChunk = 4096;  // length of partial sums, which bounds the rounding error

/// dst[r] = sum over c of src[r, c].
void sum_over_columns(const float* src, float* dst, std::int64_t rows, std::int64_t columns) {
  if (rows == 1 && columns > kSumChunk) {
    // One long row: partial sums of fixed length, so that the result does not depend on the number of threads.
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

std::function<void()> reduce_kernel(const graph::Reduce& spec, const float* src, float* dst) {
  const std::int64_t from = graph::element_count(spec.from), to = graph::element_count(spec.to);
  const graph::ChainOperand operand = graph::broadcast_operand(spec.to, spec.from);
  const bool reduces_rows = operand.access == Access::scalar || operand.access == Access::column;
  if (spec.kind == graph::Reduce::Kind::maximum) {
    if (!reduces_rows && from != to)
      base::fail_run("the maximum of {} is supported along rows only", graph::to_string(spec.from));
    return [=] {
      for (std::int64_t row = 0; row < to; ++row)
        dst[row] = *std::max_element(src + row * (from / to), src + (row + 1) * (from / to));
    };
  }
  if (reduces_rows) return [=] { sum_over_columns(src, dst, to, from / to); };
  if (operand.access == Access::row) return [=] { sum_over_rows(src, dst, from / to, to); };
  return [=] {
    std::fill_n(dst, to, 0.0f);
    for (std::int64_t i = 0; i < from; ++i) dst[graph::operand_index(operand, static_cast<std::size_t>(i))] += src[i];
  };
}

std::function<void()> all_reduce_kernel(const graph::AllReduce& spec, std::span<const std::byte* const> inputs,
                                        float* dst, Communicator* communicator) {
  constexpr std::int64_t kSumGrain = 16384;  // fewest elements per thread
  struct Part {
    const float* src;
    float* dst;
    std::int64_t count;
  };
  std::vector<Part> parts;
  std::int64_t elements = 0;
  for (std::size_t i = 0; i < inputs.size(); elements += spec.counts[i++])
    parts.push_back({reinterpret_cast<const float*>(inputs[i]), dst + elements, spec.counts[i]});
  if (!spec.exchange) communicator = nullptr;
  return [=, add = spec.add] {
    for (const Part& part : parts)
      base::parallel_for(part.count, kSumGrain, [&](std::int64_t begin, std::int64_t end) {
        if (add)
          for (std::int64_t i = begin; i < end; ++i) part.dst[i] += part.src[i];
        else
          std::copy(part.src + begin, part.src + end, part.dst + begin);
      });
    if (communicator) communicator->all_reduce({dst, static_cast<std::size_t>(elements)});
  };
}

}  // namespace gan::runtime::cpu
