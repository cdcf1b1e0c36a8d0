#include <fmt/core.h>

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/text.h"
#include "eval/judge.h"
#include "eval/missing.h"
#include "eval/pixels.h"
#include "metrics/kolmogorov_smirnov.h"
#include "metrics/modes.h"
#include "metrics/two_sample.h"

// The scores of vectors: rows of tables and synthetic points.
namespace gan::eval {

using metrics::Rows;

namespace {

constexpr std::int64_t kMostCorrelated = 1000;  // columns
constexpr int kCircleDeviations = 4;            // as in CcGAN (Ding et al. 2021)

}  // namespace

void Judge::judge_modes(Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  const std::int64_t width = real.sample_shape[0], modes = mode_count();
  const metrics::ModeCount count = metrics::count_modes({evaluation.samples.points, width}, {real.modes, width},
                                                        static_cast<double>(real.mode_deviation));
  // The label of a synthetic point is the index of its mode.
  if (const auto wanted = labels(evaluation.samples); !wanted.empty() && modes == class_column_.categories)
    count_labels(count.nearest, wanted, class_column_.categories, scores);
  if (const std::string why = why_no_score(scores.samples); why.empty())
    scores.modes = {count.found, modes, count.high_quality};
  else
    miss(scores, {"modes"}, why);
}

void Judge::judge_circle(Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  if (const std::string why = too_few_samples(scores.samples, kPointsOnCircle); !why.empty())
    return miss(scores, {"modes"}, why);
  const double period = evaluation.samples.condition.columns[0].number.period, turn = period > 0 ? period : 360;
  const std::span<const float> angles = evaluation.samples.rows.numbers(0);
  std::vector<bool> found(kAngles);
  std::int64_t good = 0;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(angles[i]) / turn;
    const auto radius = static_cast<double>(real.circle_radius);
    const double x = static_cast<double>(evaluation.samples.points[2 * i]) - radius * std::cos(angle);
    const double y = static_cast<double>(evaluation.samples.points[2 * i + 1]) - radius * std::sin(angle);
    if (std::hypot(x, y) > kCircleDeviations * static_cast<double>(real.mode_deviation)) continue;
    ++good;
    found[i % kAngles] = true;
  }
  scores.modes = {std::ranges::count(found, true), kAngles,
                  static_cast<double>(good) / static_cast<double>(scores.samples), kCircleDeviations};
}

void Judge::judge_vectors(const Options& options, Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  const std::int64_t width = real.sample_shape[0];
  const std::string why = too_few(scores.samples, real.count(), base::counted(real.count(), "row"), kFewestRows);
  if (!why.empty()) {
    miss(scores, {"columns", "correlations"}, why);
  } else {
    scores.columns = compare_columns(real, evaluation.samples);
    scores.chance_distance = metrics::kolmogorov_smirnov_chance(real.count(), scores.samples);
    if (neighbours_)
      scores.two_sample_auc =
          metrics::two_sample_auc({real_.features, width}, {neighbours_->standardized(evaluation.samples), width});
    if (width <= kMostCorrelated)
      scores.correlations = compare_correlations(real, evaluation.samples);
    else
      miss(scores, {"correlations"}, fmt::format("{} columns, at most {} are compared", width, kMostCorrelated));
  }
  if (!neighbours_)
    return miss(scores, {"precision", "recall", "density", "coverage", "duplicates", "memorization"}, why_no_numbers_);
  const Embedded drawn = read(evaluation.samples);
  if (const auto wanted = labels(evaluation.samples); !wanted.empty() && class_column_.categories > 1) {
    count_labels(drawn.classes, wanted, class_column_.categories, scores);
    scores.own_label_accuracy = accuracy_of(real_.classes, labels(real));
  }
  judge_numbers(drawn, evaluation);
  judge_coverage({drawn.features, width}, scores);
  if (options.pixels) judge_copies_of_vectors({drawn.features, width}, evaluation);
}

void Judge::judge_copies_of_vectors(const Rows& fake, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const Rows drawn = fake.slice(0, std::min(fake.count(), kMostSearched));
  // In one dimension samples are often that close by chance.
  if (fake.width > 1 && drawn.count() >= kFewestRows) {
    const double limit = kDuplicateDeviation * std::sqrt(static_cast<double>(fake.width));
    const std::vector<double> others = metrics::nearest_other(drawn, *ranks_);
    scores.duplicates = static_cast<double>(std::ranges::count_if(others, [&](double d) { return d < limit; })) /
                        static_cast<double>(others.size());
  }
  if (const std::string why = too_few_samples(drawn.count(), kFewestRows); !why.empty())
    return miss(scores, {"memorization"}, why);
  const std::vector<float> train = neighbours_->standardized(reference_.train);
  const auto distances = [&](const Rows& rows) {
    metrics::Nearest nearest;
    metrics::find_nearest(rows, {train, fake.width}, 0, nearest);
    return per_element(nearest.distance, fake.width);
  };
  const std::vector<double> of_samples = distances(drawn);
  const std::vector<float> unseen =
      rows_of({real_.features, fake.width}, unseen_samples(drawn.count(), kMostSearched, scores));
  const std::vector<double> of_unseen = unseen.empty() ? std::vector<double>() : distances({unseen, fake.width});
  scores.memorization = memorization(of_samples, of_unseen, of_samples, of_unseen, kDuplicateDeviation);
}

}  // namespace gan::eval
