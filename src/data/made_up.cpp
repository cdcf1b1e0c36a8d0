#include "data/made_up.h"

#include <cmath>
#include <numbers>
#include <utility>

#include "data/columns.h"

namespace gan::data {

void add_numbers(Dataset& dataset, const std::string& name, std::string_view unit, double period,
                 std::vector<float> values, const SourceOptions& options, const std::string& source) {
  const double chosen_period = period_of(options.read, name);
  const std::string scaling = scaling_of(options.read, name);
  if (chosen_period > 0 || !scaling.empty()) period = chosen_period;
  ConditionColumn column;
  column.name = name;
  column.number = number_column(name, values, period > 0 ? "none" : scaling, source);
  column.number.unit = unit;
  column.number.period = period;
  column.number.fourier = options.read.fourier;
  add_column(dataset, {std::move(column), std::move(values)});
}

void rotate_image(const std::uint8_t* src, std::uint8_t* dst, std::int64_t side, double degrees) {
  const double radians = degrees * std::numbers::pi / 180, cosine = std::cos(radians), sine = std::sin(radians);
  const double centre = 0.5 * static_cast<double>(side - 1);
  const auto pixel = [&](std::int64_t row, std::int64_t column) {
    const bool inside = row >= 0 && row < side && column >= 0 && column < side;
    return inside ? static_cast<double>(src[row * side + column]) : 0;
  };
  for (std::int64_t y = 0; y < side; ++y)
    for (std::int64_t x = 0; x < side; ++x) {
      const double right = static_cast<double>(x) - centre, up = centre - static_cast<double>(y);
      const double column = centre + cosine * right + sine * up, row = centre + sine * right - cosine * up;
      const auto left = static_cast<std::int64_t>(std::floor(column)), top = static_cast<std::int64_t>(std::floor(row));
      const double a = column - static_cast<double>(left), b = row - static_cast<double>(top);
      const double value = (1 - b) * ((1 - a) * pixel(top, left) + a * pixel(top, left + 1)) +
                           b * ((1 - a) * pixel(top + 1, left) + a * pixel(top + 1, left + 1));
      dst[y * side + x] = static_cast<std::uint8_t>(std::lround(value));
    }
}

}  // namespace gan::data
