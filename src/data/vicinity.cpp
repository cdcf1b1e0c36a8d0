#include "data/vicinity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace gan::data {

namespace {

constexpr double kSmallestWeight = 1e-3;
constexpr int kTries = 16;  // for conditions without a sample near them, before the sample's own condition is taken

std::vector<std::int32_t> categories_of(const ConditionRows& rows, std::span<const std::size_t> columns,
                                        std::size_t row) {
  std::vector<std::int32_t> key;
  for (const std::size_t c : columns) key.push_back(rows.categories(c)[row]);
  return key;
}

}  // namespace

Vicinity::Vicinity(const ConditionSpec& spec, const ConditionRows& rows, const VicinalOptions& options)
    : rows_(rows), soft_(options.kind == "soft") {
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    if (!spec.columns[c].is_numeric()) {
      categorical_.push_back(c);
      continue;
    }
    const NumberColumn& number = spec.columns[c].number;
    const double range = number.period > 0 ? number.period : number.maximum - number.minimum;
    numeric_.push_back(c);
    numbers_.push_back(number);
    const double count = static_cast<double>(number.count);
    widths_.push_back({options.sigma > 0 ? options.sigma : 1.06 * number.deviation / range * std::pow(count, -0.2),
                       options.kappa > 0 ? options.kappa : 2 * number.largest_gap / range});
  }
  if (numeric_.empty())
    base::fail_usage("train.vicinal = {} needs a condition of numbers; this one is {}", options.kind, spec.text());
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows.count()); ++i)
    groups_[categories_of(rows, categorical_, i)].samples.push_back(static_cast<std::uint32_t>(i));
  const std::span<const float> keys = rows.numbers(numeric_[0]);
  for (auto& [categories, group] : groups_) {
    std::ranges::sort(group.samples, {}, [&](std::uint32_t i) { return std::pair(position(0, keys[i]), i); });
    for (const std::uint32_t i : group.samples) group.keys.push_back(static_cast<float>(position(0, keys[i])));
  }
}

/// A value of numeric column n as a share of its range; in [0, 1) if it is periodic.
double Vicinity::position(std::size_t n, double value) const {
  const NumberColumn& number = numbers_[n];
  if (number.period == 0) return (value - number.minimum) / (number.maximum - number.minimum);
  const double turns = value / number.period;
  return turns - std::floor(turns);
}

/// The distance of two positions.
double Vicinity::distance(std::size_t n, double a, double b) const {
  const double plain = std::abs(a - b);
  return numbers_[n].period > 0 ? std::min(plain, 1 - plain) : plain;
}

/// The samples of a group near a target, given as positions.
Vicinity::Near Vicinity::near(const Group& group, std::span<const double> target) const {
  Near found;
  double sum = 0;
  const double reach = soft_ ? std::sqrt(-std::log(kSmallestWeight)) : 1;  // in units of kappa
  const auto consider = [&](double from, double to) {
    const auto begin = std::ranges::lower_bound(group.keys, static_cast<float>(from)) - group.keys.begin();
    const auto end = std::ranges::upper_bound(group.keys, static_cast<float>(to)) - group.keys.begin();
    for (auto k = static_cast<std::size_t>(begin); k < static_cast<std::size_t>(end); ++k) {
      double exponent = 0;
      bool inside = true;
      for (std::size_t n = 0; n < numeric_.size(); ++n) {
        const double at = position(n, rows_.numbers(numeric_[n])[group.samples[k]]);
        const double scaled = distance(n, at, target[n]) / widths_[n].kappa;
        inside &= scaled <= reach;
        exponent -= scaled * scaled;
      }
      const double weight = soft_ ? std::exp(exponent) : 1;
      if (!inside || weight < kSmallestWeight) continue;
      found.samples.push_back(group.samples[k]);
      found.weights.push_back(sum += weight);
    }
  };
  const double slack = 1e-6;  // keys are rounded to float
  const double half = reach * widths_[0].kappa + slack, at = target[0];
  if (numbers_[0].period > 0 && half >= 0.5) {
    consider(0, 1);
  } else {
    consider(at - half, at + half);
    if (numbers_[0].period > 0 && at - half < 0) consider(at - half + 1, 1);
    if (numbers_[0].period > 0 && at + half > 1) consider(0, at + half - 1);
  }
  return found;
}

std::uint32_t Vicinity::draw(std::uint32_t sample, const base::RandomStream& random, std::size_t row,
                             ConditionRows& y) const {
  const Group& group = groups_.at(categories_of(rows_, categorical_, sample));
  const std::size_t columns = numeric_.size(), draws = columns + 1;  // random elements of a try
  std::vector<double> target(columns), value(columns);
  for (int k = 0; k < kTries; ++k) {
    const std::size_t first = (row * kTries + static_cast<std::size_t>(k)) * draws;
    for (std::size_t n = 0; n < columns; ++n) {
      const NumberColumn& number = numbers_[n];
      const double range = number.period > 0 ? number.period : number.maximum - number.minimum;
      const double noise = static_cast<double>(random.normal(first + n)) * widths_[n].sigma * range;
      value[n] = static_cast<double>(rows_.numbers(numeric_[n])[sample]) + noise;
      target[n] = position(n, value[n]);
    }
    const Near found = near(group, target);
    if (found.samples.empty()) continue;
    const double at = static_cast<double>(random.uniform(first + columns)) * found.weights.back();
    const auto chosen = std::min<std::ptrdiff_t>(std::ranges::upper_bound(found.weights, at) - found.weights.begin(),
                                                 std::ssize(found.samples) - 1);
    for (std::size_t n = 0; n < columns; ++n)
      std::get<std::vector<float>>(y.columns[numeric_[n]])[row] = static_cast<float>(value[n]);
    return found.samples[static_cast<std::size_t>(chosen)];
  }
  return sample;
}

}  // namespace gan::data
