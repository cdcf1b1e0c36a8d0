#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gan::data {

/// The order in which an epoch visits the samples: a permutation that depends on (count, seed, epoch) and on nothing
/// else, so training can resume at any step.
class Shuffle {
 public:
  Shuffle(std::uint32_t count, std::uint64_t seed) : order_(count), seed_(seed) {}

  /// The permutation of 0 to count - 1 for epoch `epoch` (from 0); valid until the next call with another epoch.
  std::span<const std::uint32_t> epoch(std::uint32_t epoch);
  /// The samples of step `step` (from 0) in batches of `size`, at most count; an epoch leaves out an incomplete batch.
  std::span<const std::uint32_t> batch(std::int64_t step, std::int64_t size);

 private:
  std::vector<std::uint32_t> order_;
  std::uint64_t seed_;
  std::int64_t epoch_ = -1;  // the epoch that order_ holds; -1: none yet
};

}  // namespace gan::data
