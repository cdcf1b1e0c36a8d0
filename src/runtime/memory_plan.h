#pragma once

#include <cstddef>
#include <vector>

namespace gan::runtime {

/// The size of a buffer and the first and last kernel that use it.
struct Lifetime {
  std::size_t bytes = 0;
  int first = 0, last = 0;
};

struct MemoryPlan {
  std::vector<std::size_t> offsets;  ///< of each buffer, multiples of 64
  std::size_t bytes = 0;             ///< of all
};

/// Places buffers so that those alive at the same time do not overlap: the largest first, each at the lowest free
/// offset (greedy by size; Pisarchyk and Lee, "Efficient memory management for deep neural net inference", 2020).
MemoryPlan plan_memory(const std::vector<Lifetime>& lifetimes);

}  // namespace gan::runtime
