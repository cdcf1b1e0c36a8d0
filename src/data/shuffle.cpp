#include "data/shuffle.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/random.h"

namespace gan::data {

namespace {

// The Fisher-Yates shuffle. `first` is the index of the first random number, so that several calls use different ones.
void permute(std::span<std::uint32_t> items, const base::RandomStream& random, std::size_t first = 0) {
  for (std::size_t i = items.size(); i > 1; --i) std::swap(items[i - 1], items[random.below(i, first + i)]);
}

}  // namespace

std::span<const std::uint32_t> Shuffle::epoch(std::uint32_t epoch) {
  if (epoch_ == epoch) return order_;
  epoch_ = epoch;
  const base::RandomStream random(seed_, base::stream_of("shuffle"), epoch);
  if (block_ == 0) {
    std::iota(order_.begin(), order_.end(), 0u);
    permute(order_, random);
    return order_;
  }
  const auto count = static_cast<std::uint32_t>(order_.size());
  std::vector<std::uint32_t> blocks((order_.size() + block_ - 1) / block_);
  std::iota(blocks.begin(), blocks.end(), 0u);
  permute(blocks, base::RandomStream(seed_, base::stream_of("shuffle blocks"), epoch));
  auto next = order_.begin(), group = next;
  for (std::size_t b = 0; b < blocks.size(); ++b) {
    const std::uint32_t first = blocks[b] * block_, size = std::min(block_, count - first);
    std::iota(next, next + size, first);
    next += size;
    if ((b + 1) % kGroup != 0 && b + 1 < blocks.size()) continue;
    permute({group, next}, random, static_cast<std::size_t>(group - order_.begin()));
    group = next;
  }
  return order_;
}

std::span<const std::uint32_t> Shuffle::batch(std::int64_t step, std::int64_t size) {
  const std::int64_t steps = static_cast<std::int64_t>(order_.size()) / size;
  return epoch(static_cast<std::uint32_t>(step / steps))
      .subspan(static_cast<std::size_t>(step % steps * size), static_cast<std::size_t>(size));
}

}  // namespace gan::data
