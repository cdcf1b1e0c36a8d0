#include "eval/scores.h"

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

}  // namespace gan::eval
