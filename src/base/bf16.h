#pragma once

#include <bit>
#include <cstdint>

namespace gan::base {

/// The bits of `value` rounded to bf16, to nearest even. A NaN stays a NaN and denormal numbers become zero, as in the
/// processors' own instructions.
constexpr std::uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t rounded = (bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16;
  const std::uint32_t high = bits >> 16, magnitude = bits & 0x7FFFFFFFu;
  return static_cast<std::uint16_t>(magnitude > 0x7F800000u    ? high | 0x40u
                                    : magnitude >= 0x00800000u ? rounded
                                                               : high & 0x8000u);
}

/// The f32 value of a bf16 given by its bits.
constexpr float from_bf16(std::uint16_t bits) { return std::bit_cast<float>(std::uint32_t{bits} << 16); }

}  // namespace gan::base
