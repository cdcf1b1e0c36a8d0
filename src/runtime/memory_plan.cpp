#include "runtime/memory_plan.h"

#include <algorithm>
#include <numeric>

namespace gan::runtime {

MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes) {
  std::vector<std::size_t> order(lifetimes.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](std::size_t a, std::size_t b) { return lifetimes[a].bytes > lifetimes[b].bytes; });
  MemoryPlan plan;
  plan.offsets.assign(lifetimes.size(), 0);
  std::vector<std::size_t> placed;  // by offset
  for (std::size_t buffer : order) {
    const Lifetime& life = lifetimes[buffer];
    const std::size_t bytes = (life.bytes + 63) / 64 * 64;
    std::size_t offset = 0;
    for (std::size_t other : placed) {
      if (lifetimes[other].last < life.first || lifetimes[other].first > life.last) continue;
      if (plan.offsets[other] >= offset + bytes) break;
      offset = std::max(offset, plan.offsets[other] + (lifetimes[other].bytes + 63) / 64 * 64);
    }
    plan.offsets[buffer] = offset;
    plan.bytes = std::max(plan.bytes, offset + bytes);
    placed.insert(std::upper_bound(placed.begin(), placed.end(), offset,
                                   [&](std::size_t at, std::size_t other) { return at < plan.offsets[other]; }),
                  buffer);
  }
  return plan;
}

}  // namespace gan::runtime
