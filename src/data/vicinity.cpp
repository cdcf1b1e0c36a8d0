#include "data/vicinity.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace gan::data {

namespace {

constexpr double kSmallestWeight = 1e-3;
constexpr int kTries = 16;      // to draw a condition with a sample near it, before the sample's own condition is taken
constexpr int kProposals = 32;  // for rejection sampling, before the weights of all samples are computed
constexpr std::size_t kWeighedDirectly = 64;  // with fewer samples all weights are computed at once
constexpr std::uint64_t kRandomBlock = 4;     // random numbers made together

std::vector<std::int32_t> categories_of(const ConditionRows& rows, std::span<const std::size_t> columns,
                                        std::size_t row) {
  std::vector<std::int32_t> key;
  for (const std::size_t c : columns) key.push_back(rows.categories(c)[row]);
  return key;
}

/// The published widths, sigma and kappa, for the positions of all samples in a column.
Vicinity::Width published_width(std::vector<double> positions) {
  std::ranges::sort(positions);
  const auto count = static_cast<double>(positions.size());
  const double mean = std::accumulate(positions.begin(), positions.end(), 0.0) / count;
  double square = 0, gap = 0;
  for (std::size_t i = 0; i < positions.size(); ++i) {
    square += (positions[i] - mean) * (positions[i] - mean) / count;
    if (i > 0) gap = std::max(gap, positions[i] - positions[i - 1]);
  }
  return {1.06 * std::sqrt(square) * std::pow(count, -0.2), 2 * gap};
}

}  // namespace

Vicinity::Vicinity(const ConditionSpec& spec, const ConditionRows& rows, const VicinalOptions& options)
    : rows_(rows), soft_(options.kind == "soft"), reach_(soft_ ? std::sqrt(-std::log(kSmallestWeight)) : 1) {
  std::vector<std::vector<double>> positions;  // of each numeric column
  for (std::size_t c = 0; c < spec.columns.size(); ++c) {
    if (!spec.columns[c].is_numeric()) {
      categorical_.push_back(c);
      continue;
    }
    numeric_.push_back(c);
    const NumberColumn& number = numbers_.emplace_back(spec.columns[c].number);
    std::vector<double>& of_column = positions.emplace_back();
    for (const float value : rows.numbers(c)) of_column.push_back(number.position(static_cast<double>(value)));
    const Width published = published_width(of_column);
    widths_.push_back(
        {options.sigma > 0 ? options.sigma : published.sigma, options.kappa > 0 ? options.kappa : published.kappa});
  }
  if (numeric_.empty())
    base::fail_usage("train.vicinal = {} needs a condition of numbers; this one is {}", options.kind, spec.text());
  for (std::size_t i = 0; i < static_cast<std::size_t>(rows.count()); ++i)
    groups_[categories_of(rows, categorical_, i)].samples.push_back(static_cast<std::uint32_t>(i));
  for (auto& [categories, group] : groups_) {
    std::ranges::sort(group.samples, {}, [&](std::uint32_t i) { return std::pair(positions[0][i], i); });
    for (const std::vector<double>& of_column : positions) {
      std::vector<double>& of_group = group.positions.emplace_back();
      for (const std::uint32_t i : group.samples) of_group.push_back(of_column[i]);
    }
  }
}

/// The samples whose position in the first numeric column is near `target`: one run, or two at the ends of a period.
std::vector<Vicinity::Run> Vicinity::runs_near(const Group& group, double target) const {
  std::vector<Run> runs;
  const std::vector<double>& keys = group.positions[0];
  const auto add = [&](double from, double to) {
    const auto begin = std::ranges::lower_bound(keys, from), end = std::ranges::upper_bound(keys, to);
    if (begin < end)
      runs.push_back({static_cast<std::size_t>(begin - keys.begin()), static_cast<std::size_t>(end - keys.begin())});
  };
  const double slack = 1e-12;  // for rounding errors; weight() decides
  const double half = reach_ * widths_[0].kappa + slack;
  const bool periodic = numbers_[0].period > 0;
  if (periodic && half >= 0.5) {
    add(0, 1);
    return runs;
  }
  add(target - half, target + half);
  if (periodic && target - half < 0) add(target - half + 1, 1);
  if (periodic && target + half > 1) add(0, target + half - 1);
  return runs;
}

/// The weight of a sample of a group, at most 1; 0 outside the vicinity.
double Vicinity::weight(const Group& group, std::size_t sample, std::span<const double> target) const {
  double squares = 0;
  for (std::size_t n = 0; n < numeric_.size(); ++n) {
    double distance = std::abs(group.positions[n][sample] - target[n]);
    if (numbers_[n].period > 0) distance = std::min(distance, 1 - distance);
    const double scaled = distance / widths_[n].kappa;
    if (!(scaled <= reach_)) return 0;
    squares += scaled * scaled;
  }
  if (!soft_) return 1;
  const double weight = std::exp(-squares);
  return weight < kSmallestWeight ? 0 : weight;
}

/// A sample of a group near the target, drawn with a probability proportional to its weight; nullopt if there is none.
/// Uses kRandomBlock * (kProposals + 1) random elements from `first` on.
std::optional<std::size_t> Vicinity::choose(const Group& group, std::span<const double> target,
                                            const base::RandomStream& random, std::uint64_t first) const {
  const std::vector<Run> runs = runs_near(group, target[0]);
  std::size_t count = 0;
  for (const Run& run : runs) count += run.end - run.begin;
  // The cost of a proposal does not depend on the number of samples.
  for (std::uint64_t k = 0; count > kWeighedDirectly && k < kProposals; ++k) {
    const std::uint64_t block = first + k * kRandomBlock;
    const std::size_t place = random.below(count, block / 2), in_first = runs[0].end - runs[0].begin;
    const std::size_t sample = place < in_first ? runs[0].begin + place : runs[1].begin + place - in_first;
    if (static_cast<double>(random.uniform(block + 2)) < weight(group, sample, target)) return sample;
  }
  std::vector<std::size_t> samples;
  std::vector<double> sums;  // of weights
  double sum = 0;
  for (const Run& run : runs)
    for (std::size_t sample = run.begin; sample < run.end; ++sample)
      if (const double share = weight(group, sample, target); share > 0) {
        samples.push_back(sample);
        sums.push_back(sum += share);
      }
  if (samples.empty()) return std::nullopt;
  const double at = static_cast<double>(random.uniform(first + kProposals * kRandomBlock)) * sum;
  const auto chosen = static_cast<std::size_t>(std::ranges::upper_bound(sums, at) - sums.begin());
  return samples[std::min(chosen, samples.size() - 1)];
}

std::uint32_t Vicinity::draw(std::uint32_t sample, const base::RandomStream& random, std::size_t place, std::size_t row,
                             ConditionRows& y) const {
  const Group& group = groups_.at(categories_of(rows_, categorical_, sample));
  const std::size_t columns = numeric_.size();
  // Noise and choice use different blocks, because a normal number is made of two neighbouring ones.
  const std::uint64_t noise_blocks = (columns + kRandomBlock - 1) / kRandomBlock,
                      blocks = noise_blocks + kProposals + 1;
  std::vector<double> target(columns), value(columns);
  for (std::uint64_t k = 0; k < kTries; ++k) {
    const std::uint64_t first = (place * kTries + k) * blocks * kRandomBlock;
    for (std::size_t n = 0; n < columns; ++n) {
      const NumberColumn& number = numbers_[n];
      const double noise = static_cast<double>(random.normal(first + n)) * widths_[n].sigma;
      const auto own = static_cast<double>(rows_.numbers(numeric_[n])[sample]);
      value[n] = number.period > 0 ? own + noise * number.period : number.value_at(number.position(own) + noise);
      target[n] = number.position(value[n]);
    }
    const auto chosen = choose(group, target, random, first + noise_blocks * kRandomBlock);
    if (!chosen) continue;
    for (std::size_t n = 0; n < columns; ++n)
      std::get<std::vector<float>>(y.columns[numeric_[n]])[row] = static_cast<float>(value[n]);
    return group.samples[*chosen];
  }
  return sample;
}

}  // namespace gan::data
