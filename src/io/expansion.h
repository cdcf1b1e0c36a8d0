#pragma once

#include <cstdint>

namespace gan::io {

inline constexpr std::uint64_t kMostExpansion = 200;

/// Whether compressed data expands to more than 256 MB and to more than kMostExpansion times its size, as only
/// decompression bombs do.
constexpr bool expands_too_much(std::uint64_t packed, std::uint64_t size) {
  return size > (std::uint64_t{256} << 20) && size / kMostExpansion > packed;
}

}  // namespace gan::io
