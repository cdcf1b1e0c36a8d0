#include "data/shuffle.h"

#include <numeric>
#include <utility>

#include "base/random.h"

namespace gan::data {

std::span<const std::uint32_t> Shuffle::epoch(std::uint32_t epoch) {
  if (epoch_ == epoch) return order_;
  epoch_ = epoch;
  // Fisher and Yates: the last of the first i samples changes places with one of them.
  const base::RandomStream random(seed_, base::stream_of("shuffle"), epoch);
  std::iota(order_.begin(), order_.end(), 0u);
  for (std::size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i, i)]);
  return order_;
}

}  // namespace gan::data
