#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace gan::base {

/// Philox 4x32-10, the counter-based generator of Salmon et al., "Parallel random numbers: as easy as 1, 2, 3"
/// (SC 2011): four 32-bit words that depend on key and counter alone.
std::array<std::uint32_t, 4> philox(std::array<std::uint32_t, 2> key, std::array<std::uint32_t, 4> counter);

/// A sequence of random values that depend on (seed, stream, step, index) and on nothing else: not on threads, not on
/// the order of calls.
class RandomStream {
 public:
  /// `stream` separates the uses of one seed, `step` the training steps of one use.
  RandomStream(std::uint64_t seed, std::uint32_t stream, std::uint32_t step = 0)
      : key_{static_cast<std::uint32_t>(seed), static_cast<std::uint32_t>(seed >> 32)}, stream_(stream), step_(step) {}

  /// 32 random bits.
  std::uint32_t bits(std::uint64_t index) const { return block(index / 4)[index % 4]; }
  /// Uniform on [0, 1), a multiple of 2^-24.
  float uniform(std::uint64_t index) const;
  /// Standard normal (Box and Muller 1958). For many indices normals() is faster.
  float normal(std::uint64_t index) const;
  /// Standard normal for the indices 4*block to 4*block + 3.
  std::array<float, 4> normals(std::uint64_t block) const;
  /// Uniform on [0, 1) for the indices 4*block to 4*block + 3.
  std::array<float, 4> uniforms(std::uint64_t block) const;
  /// Uniform on {0, ..., bound - 1}; the bias is below bound / 2^64.
  std::uint64_t below(std::uint64_t bound, std::uint64_t index) const;

  /// The arguments of philox() for a block.
  const std::array<std::uint32_t, 2>& key() const { return key_; }
  std::array<std::uint32_t, 4> counter(std::uint64_t block) const {
    return {static_cast<std::uint32_t>(block), static_cast<std::uint32_t>(block >> 32), step_, stream_};
  }

 private:
  std::array<std::uint32_t, 4> block(std::uint64_t number) const { return philox(key_, counter(number)); }

  std::array<std::uint32_t, 2> key_;
  std::uint32_t stream_;
  std::uint32_t step_;
};

/// A stream number hashed from a name (FNV-1a), so that adding a parameter leaves the random numbers of the others as
/// they were.
std::uint32_t stream_of(std::string_view name);

}  // namespace gan::base
