#include "metrics/spread.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "base/text.h"

namespace gan::metrics {

Spread spread(const Rows& rows, std::span<const std::int32_t> labels) {
  const auto count = static_cast<std::size_t>(rows.count()), width = static_cast<std::size_t>(rows.width);
  if (count == 0) base::fail_usage("spread: no rows");
  if (!labels.empty() && labels.size() != count)
    base::fail_usage("spread: {} for {}; expected one for each",
                     base::counted(static_cast<std::int64_t>(labels.size()), "label"),
                     base::counted(static_cast<std::int64_t>(count), "row"));
  std::vector<double> mean(width);
  const std::size_t classes = labels.empty() ? 1 : static_cast<std::size_t>(std::ranges::max(labels)) + 1;
  std::vector<std::vector<double>> means(classes);
  std::vector<double> counts(classes);
  const auto label = [&](std::size_t i) { return labels.empty() ? 0 : static_cast<std::size_t>(labels[i]); };
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const float> row = rows.row(static_cast<std::int64_t>(i));
    std::vector<double>& of_label = means[label(i)];
    of_label.resize(width);
    for (std::size_t j = 0; j < width; ++j) of_label[j] += static_cast<double>(row[j]);
    ++counts[label(i)];
  }
  for (std::size_t k = 0; k < means.size(); ++k)
    for (std::size_t j = 0; j < means[k].size(); ++j) {
      mean[j] += means[k][j] / static_cast<double>(count);
      means[k][j] /= counts[k];
    }
  double between = 0, within = 0;
  for (std::size_t k = 0; k < means.size(); ++k)
    for (std::size_t j = 0; j < means[k].size(); ++j) between += counts[k] * std::pow(means[k][j] - mean[j], 2);
  for (std::size_t i = 0; i < count; ++i) {
    const std::span<const float> row = rows.row(static_cast<std::int64_t>(i));
    for (std::size_t j = 0; j < width; ++j) within += std::pow(static_cast<double>(row[j]) - means[label(i)][j], 2);
  }
  const auto root_mean = [&](double squares) { return std::sqrt(squares / static_cast<double>(count * width)); };
  Spread result{std::nullopt, root_mean(within)};
  if (!labels.empty()) result.between = root_mean(between);
  return result;
}

}  // namespace gan::metrics
