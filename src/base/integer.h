#pragma once

#include <concepts>

namespace gan::base {

/// a / b rounded up, for a >= 0 and b > 0.
template <std::integral Integer>
constexpr Integer divide_up(Integer a, Integer b) {
  return (a + b - 1) / b;
}

/// The least multiple of b that is not below a, for a >= 0 and b > 0.
template <std::integral Integer>
constexpr Integer round_up(Integer a, Integer b) {
  return divide_up(a, b) * b;
}

}  // namespace gan::base
