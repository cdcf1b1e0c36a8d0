#include "data/scaling.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>

#include "base/error.h"

namespace gan::data {

double Scaling::apply(double value) const { return ((kind == "log" ? std::log(value) : value) - offset) / scale; }

double Scaling::undo(double scaled) const {
  const double value = scaled * scale + offset;
  return kind == "log" ? std::exp(value) : value;
}

std::span<const std::string_view> scaling_kinds() {
  static constexpr std::string_view kScalingKinds[] = {"none", "standard", "minmax", "log"};
  return kScalingKinds;
}

std::int64_t NumberColumn::features() const { return period > 0 ? 2 * (1 + fourier) : 1 + 2 * fourier; }

void NumberColumn::copy_features(double value, float* dst) const {
  const auto waves = [&](double angle, std::int64_t count) {  // angle, 2 angle, 4 angle, ...
    for (std::int64_t k = 0; k < count; ++k, angle *= 2) {
      *dst++ = static_cast<float>(std::sin(angle));
      *dst++ = static_cast<float>(std::cos(angle));
    }
  };
  if (period > 0) return waves(2 * std::numbers::pi * value / period, 1 + fourier);
  *dst++ = static_cast<float>(scaling.apply(value));
  if (fourier > 0) waves(std::numbers::pi * position(value), fourier);
}

bool NumberColumn::outside(double value) const { return period == 0 && (value < minimum || value > maximum); }

bool NumberColumn::accepts(double value) const {
  return std::isfinite(value) && (period > 0 || scaling.kind != "log" || value > 0);
}

double NumberColumn::position(double value) const {
  if (period > 0) return value / period - std::floor(value / period);
  if (scaling.kind == "log") return std::log(value / minimum) / std::log(maximum / minimum);
  return (value - minimum) / (maximum - minimum);
}

double NumberColumn::between(double from, double to, double share) const {
  if (period > 0) return from + share * std::remainder(to - from, period);
  const double low = scaling.apply(from), high = scaling.apply(to);
  return scaling.undo(low + share * (high - low));
}

double NumberColumn::value_at(double position) const {
  using Limits = std::numeric_limits<float>;
  const bool logs = scaling.kind == "log";
  const double value =
      logs ? minimum * std::pow(maximum / minimum, position) : minimum + position * (maximum - minimum);
  return std::clamp<double>(value, logs ? Limits::min() : Limits::lowest(), Limits::max());
}

namespace {

struct Moments {
  double mean = 0, deviation = 0, skewness = 0;
};

Moments moments_of(std::span<const double> values) {
  Moments out;
  const auto count = static_cast<double>(values.size());
  for (const double value : values) out.mean += value / count;
  double square = 0, cube = 0;
  for (const double value : values) {
    const double from_mean = value - out.mean;
    square += from_mean * from_mean / count;
    cube += from_mean * from_mean * from_mean / count;
  }
  out.deviation = std::sqrt(square);
  if (square > 0) out.skewness = cube / (square * out.deviation);
  return out;
}

}  // namespace

NumberColumn number_column(const std::string& name, std::span<const float> values, std::string_view kind,
                           const std::string& place) {
  constexpr double kLongTail = 2;  // skewness
  std::vector<double> sorted(values.begin(), values.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (!std::isfinite(sorted[i]))
      base::fail_data("{}: column {}, row {}: {}, expected a finite number", place, name, i + 1, sorted[i]);
  std::ranges::sort(sorted);
  if (sorted.empty() || sorted.front() == sorted.back())
    base::fail_data("{}: column {} is constant{}: leave it out", place, name,
                    sorted.empty() ? "" : fmt::format(" ({})", sorted.front()));
  for (const double value : {sorted.front(), sorted.back()})
    if (std::abs(value) > kLargestNumber)
      base::fail_data("{}: column {} holds {}, expected numbers up to {}", place, name, value, kLargestNumber);
  if (sorted.back() - sorted.front() < 1 / kLargestNumber)
    base::fail_data("{}: the numbers of column {} differ by {}, too little for f32", place, name,
                    sorted.back() - sorted.front());
  NumberColumn column;
  column.name = name;
  column.minimum = sorted.front();
  column.maximum = sorted.back();
  column.distinct = 1;
  for (std::size_t i = 1; i < sorted.size(); ++i) column.distinct += sorted[i] != sorted[i - 1];
  const Moments plain = moments_of(sorted);
  column.deviation = plain.deviation;
  std::vector<double> logs;
  if (column.minimum > 0)
    for (const double value : sorted) logs.push_back(std::log(value));
  else if (kind == "log")
    base::fail_data("{}: column {} holds {}; a log scaling needs values above 0", place, name, column.minimum);
  const Moments in_logs = logs.empty() ? Moments() : moments_of(logs);
  const bool long_tail = !logs.empty() && plain.skewness > kLongTail && std::abs(in_logs.skewness) < plain.skewness;
  column.scaling.kind = !kind.empty() ? kind : long_tail ? "log" : "standard";
  if (column.scaling.kind == "standard") {
    column.scaling.offset = plain.mean;
    column.scaling.scale = plain.deviation;
  } else if (column.scaling.kind == "log") {
    column.scaling.offset = in_logs.mean;
    column.scaling.scale = in_logs.deviation;
  } else if (column.scaling.kind == "minmax") {
    column.scaling.offset = (column.minimum + column.maximum) / 2;
    column.scaling.scale = (column.maximum - column.minimum) / 2;
  }
  return column;
}

}  // namespace gan::data
