#pragma once

#include <optional>

#include "metrics/rows.h"

namespace gan::metrics {

/// How far rows are from being all alike, as root mean squares over rows and columns. The squares of the two add up to
/// the variance of the rows.
struct Spread {
  std::optional<double> between;  ///< labels: means of the labels' rows about the mean of all; absent without labels
  double within = 0;              ///< a label: rows about the mean of their label's rows
};

/// Throws a usage error if there are no rows, or labels that are not as many as the rows.
Spread spread(const Rows& rows, std::span<const std::int32_t> labels);

}  // namespace gan::metrics
