#include "eval/scores.h"

#include <fmt/core.h>

#include <algorithm>

#include "eval/missing.h"
#include "metrics/nearest.h"

namespace gan::eval {

double Scores::mean_distance() const {
  double sum = 0;
  for (const ColumnScore& column : columns) sum += column.distance;
  return sum / static_cast<double>(columns.size());
}

std::optional<double> joint_score(const Scores& scores) {
  std::vector<double> parts;
  if (scores.prdc) parts.push_back(scores.prdc->coverage);
  if (scores.modes) {
    parts.push_back(static_cast<double>(scores.modes->found) / static_cast<double>(scores.modes->of));
    parts.push_back(scores.modes->high_quality);
  }
  if (!scores.columns.empty()) parts.push_back(1 - scores.mean_distance());
  if (parts.empty()) return std::nullopt;
  const double best = scores.own_label_accuracy.value_or(1);
  if (scores.label_accuracy) parts.push_back(*scores.label_accuracy < best ? *scores.label_accuracy / best : 1);
  double numbers = 0;
  for (const Scores::Number& number : scores.numbers)
    numbers += number.error > number.own_error ? number.own_error / number.error : 1;
  if (!scores.numbers.empty()) parts.push_back(numbers / static_cast<double>(scores.numbers.size()));
  double inverses = 0;
  for (const double part : parts) {
    if (part <= 0) return 0;
    inverses += 1 / part;
  }
  return static_cast<double>(parts.size()) / inverses;
}

double accuracy_of(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels) {
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += predicted[i] == labels[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

void count_labels(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels, int classes,
                  Scores& scores) {
  constexpr int kMostConfusions = 256;
  const auto count = static_cast<std::size_t>(classes);
  std::vector<std::int64_t> drawn(count), right(count);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++drawn[static_cast<std::size_t>(labels[i])];
    right[static_cast<std::size_t>(labels[i])] += predicted[i] == labels[i];
  }
  scores.label_accuracy = accuracy_of(predicted, labels);
  for (std::size_t k = 0; k < count; ++k) {
    Scores::Class& of_class = scores.per_class.emplace_back();
    if (drawn[k] > 0) of_class.accuracy = static_cast<double>(right[k]) / static_cast<double>(drawn[k]);
  }
  if (classes > kMostConfusions)
    return miss(scores, {"confusion"}, fmt::format("{} classes, at most {} are shown", classes, kMostConfusions));
  scores.confusion.assign(count, std::vector<std::int64_t>(count));
  for (std::size_t i = 0; i < labels.size(); ++i)
    ++scores.confusion[static_cast<std::size_t>(labels[i])][static_cast<std::size_t>(predicted[i])];
}

Scores::Memorization memorization(const std::vector<double>& samples, const std::vector<double>& held_out,
                                  const std::vector<double>& shifted_samples,
                                  const std::vector<double>& shifted_held_out, double duplicate) {
  Scores::Memorization result;
  result.samples_median = metrics::median(samples);
  result.limit = duplicate;
  const auto share_within = [&](const std::vector<double>& distances) {
    return static_cast<double>(std::ranges::count_if(distances, [&](double d) { return d <= result.limit; })) /
           static_cast<double>(distances.size());
  };
  if (!held_out.empty()) {
    result.held_out_median = metrics::median(held_out);
    result.share_closer = metrics::share_smaller(samples, held_out);
    // Networks do not copy exactly, so samples that are three times closer than held-out images count as copies.
    result.limit = std::max(result.limit, metrics::median(shifted_held_out) / 3);
    result.held_out_copies = share_within(shifted_held_out);
  }
  result.copies = share_within(shifted_samples);
  return result;
}

}  // namespace gan::eval
