#pragma once

#include <cmath>
#include <cstddef>

namespace gan::test {

/// The norm of actual - expected over the norm of expected, or over `least` if that is larger.
template <typename Actual, typename Expected>
double relative_error(const Actual& actual, const Expected& expected, double least = 0) {
  double difference = 0, norm = 0;
  for (std::size_t i = 0; i < expected.size(); ++i) {
    const double missed = static_cast<double>(actual[i]) - static_cast<double>(expected[i]);
    difference += missed * missed;
    norm += static_cast<double>(expected[i]) * static_cast<double>(expected[i]);
  }
  return std::sqrt(difference) / std::fmax(std::sqrt(norm), least);
}

}  // namespace gan::test
