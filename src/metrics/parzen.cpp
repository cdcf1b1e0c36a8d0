#include "metrics/parzen.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numbers>
#include <numeric>

#include "base/error.h"

namespace gan::metrics {

namespace {

constexpr float kNegligible = 40;  // exp(-40) of the largest term is lost in a double's rounding

/// Log-likelihoods [sigmas][rows]. The sum of exponentials is taken relative to the nearest sample so far, so nothing
/// under- or overflows.
std::vector<std::vector<double>> log_likelihoods(const Rows& samples, const Rows& rows,
                                                 const std::vector<double>& sigmas, runtime::Communicator& ranks) {
  const auto count = static_cast<std::size_t>(rows.count());
  std::vector<float> nearest(count, std::numeric_limits<float>::infinity());
  std::vector<std::vector<double>> sums(sigmas.size(), std::vector<double>(count));
  const auto visit = [&](std::int64_t i, std::int64_t, std::span<const float> squared) {
    const auto row = static_cast<std::size_t>(i);
    const float before = nearest[row], now = std::min(before, *std::ranges::min_element(squared));
    nearest[row] = now;
    for (std::size_t s = 0; s < sigmas.size(); ++s) {
      const auto scale = static_cast<float>(1 / (2 * sigmas[s] * sigmas[s]));
      double sum = std::isinf(before) ? 0 : sums[s][row] * std::exp(static_cast<double>((now - before) * scale));
      for (const float distance : squared) {
        const float exponent = (distance - now) * scale;
        if (exponent < kNegligible) sum += static_cast<double>(std::exp(-exponent));
      }
      sums[s][row] = sum;
    }
  };
  for_each_distance(rows, samples, visit, ranks);
  const auto width = static_cast<double>(rows.width), terms = static_cast<double>(samples.count());
  for (std::size_t s = 0; s < sigmas.size(); ++s) {
    const double variance = sigmas[s] * sigmas[s];
    const double constant = -std::log(terms) - width / 2 * std::log(2 * std::numbers::pi * variance);
    for (std::size_t i = 0; i < count; ++i)
      sums[s][i] = std::log(sums[s][i]) - static_cast<double>(nearest[i]) / (2 * variance) + constant;
    collect_rows(ranks, rows, std::span(sums[s]));
  }
  return sums;
}

double mean_of(const std::vector<double>& values) {
  return std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(values.size());
}

}  // namespace

std::vector<double> parzen_log_likelihoods(const Rows& samples, const Rows& rows, double sigma) {
  if (!(sigma > 0)) base::fail_usage("a Parzen window of width {}; expected a number above 0", sigma);
  return log_likelihoods(samples, rows, {sigma}, runtime::one_rank())[0];
}

Parzen parzen(const Rows& samples, const Rows& validation, const Rows& test, runtime::Communicator& ranks) {
  require_same_width(samples, test);
  if (test.count() < 2) base::fail_usage("a standard error needs at least two test rows");
  std::vector<double> sigmas;
  for (int i = 0; i < 10; ++i) sigmas.push_back(std::pow(10.0, -1 + i / 9.0));
  std::vector<double> scores;
  for (const std::vector<double>& values : log_likelihoods(samples, validation, sigmas, ranks))
    scores.push_back(mean_of(values));
  const double sigma = sigmas[static_cast<std::size_t>(std::ranges::max_element(scores) - scores.begin())];
  const std::vector<double> values = log_likelihoods(samples, test, {sigma}, ranks)[0];
  const double mean = mean_of(values);
  double squares = 0;
  for (double value : values) squares += (value - mean) * (value - mean);
  const auto rows = static_cast<double>(values.size());
  return {mean, std::sqrt(squares / (rows - 1) / rows), sigma};
}

}  // namespace gan::metrics
