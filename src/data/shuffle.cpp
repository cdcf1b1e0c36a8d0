#include "data/shuffle.h"

#include <numeric>
#include <utility>

#include "base/random.h"

namespace gan::data {

std::span<const std::uint32_t> Shuffle::epoch(std::uint32_t epoch) {
  if (epoch_ == epoch) return order_;
  epoch_ = epoch;
  // Fisher and Yates: the last of the first i samples is swapped with a random one of them.
  const base::RandomStream random(seed_, base::stream_of("shuffle"), epoch);
  std::iota(order_.begin(), order_.end(), 0u);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i, i)]);
  return order_;
}

std::span<const std::uint32_t> Shuffle::batch(std::int64_t step, std::int64_t size) {
  const std::int64_t steps = static_cast<std::int64_t>(order_.size()) / size;
  return epoch(static_cast<std::uint32_t>(step / steps))
      .subspan(static_cast<std::size_t>(step % steps * size), static_cast<std::size_t>(size));
}

}  // namespace gan::data
