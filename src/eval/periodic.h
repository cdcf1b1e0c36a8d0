#pragma once

#include <cmath>
#include <numbers>

#include "data/scaling.h"

namespace gan::eval {

/// The angle of a value of a periodic column, in radians.
inline double angle_of(const data::NumberColumn& column, double value) {
  return 2 * std::numbers::pi * value / column.period;
}

/// The value of a periodic column, in [0, period), whose angle has the direction (sine, cosine) of any length.
inline double value_of_direction(const data::NumberColumn& column, double sine, double cosine) {
  const double share = std::atan2(sine, cosine) / (2 * std::numbers::pi);
  return (share < 0 ? share + 1 : share) * column.period;
}

}  // namespace gan::eval
