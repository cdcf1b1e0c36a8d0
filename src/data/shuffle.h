#pragma once

#include <cstdint>
#include <span>
#include <vector>

namespace gan::data {

/// The order in which an epoch visits the samples: a permutation that depends on (count, seed, block, epoch) and on
/// nothing else, so training can resume at any step.
///
/// For data on a slow disk, `block` above 0 keeps neighbouring samples close: blocks of that many samples are shuffled,
/// and then the samples within each group of kGroup successive blocks. Whoever reads the samples of a group together
/// reads whole blocks.
class Shuffle {
 public:
  static constexpr std::uint32_t kGroup = 64;

  /// `block`: samples in a block; 0 shuffles without blocks.
  Shuffle(std::uint32_t count, std::uint64_t seed, std::uint32_t block = 0)
      : order_(count), seed_(seed), block_(block) {}

  /// The permutation of 0 to count - 1 for epoch `epoch` (from 0); valid until the next call with another epoch.
  std::span<const std::uint32_t> epoch(std::uint32_t epoch);
  /// The samples of step `step` (from 0) in batches of `size`, at most count; an epoch leaves out an incomplete batch.
  std::span<const std::uint32_t> batch(std::int64_t step, std::int64_t size);

 private:
  std::vector<std::uint32_t> order_;
  std::uint64_t seed_;
  std::uint32_t block_;
  std::int64_t epoch_ = -1;  // the epoch that order_ holds; -1: none yet
};

}  // namespace gan::data
