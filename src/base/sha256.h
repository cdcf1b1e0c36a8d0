#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace gan::base {

/// SHA-256 (FIPS 180-4), computed piece by piece.
class Sha256 {
 public:
  /// By the processor's instructions for it, if it has them; `portable`: without.
  explicit Sha256(bool portable = false);
  void update(const void* src, std::size_t bytes);
  /// The digest of all bytes given to update(), as 64 lower-case hexadecimal digits. Call it once, last.
  std::string finish();

 private:
  void (*compress_)(std::uint32_t* state, const std::uint8_t* block);  // adds a block of 64 bytes
  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::uint8_t, 64> pending_{};  // the bytes that do not fill a block yet
  std::uint64_t length_ = 0;                // bytes so far
};

/// The SHA-256 of these bytes, in hexadecimal.
std::string sha256(std::string_view bytes);

}  // namespace gan::base
