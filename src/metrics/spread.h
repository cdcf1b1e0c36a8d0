#pragma once

#include <optional>

#include "metrics/rows.h"

namespace gan::metrics {

/// The standard deviation of rows between and within labels, as root mean squares over rows and columns. The squares of
/// the two add up to the variance of the rows.
struct Spread {
  std::optional<double> between;  ///< of the labels' mean rows around the overall mean; absent without labels
  double within = 0;              ///< of rows around the mean row of their label
};

/// For rows [N, D] and labels [N], or none. Throws a usage error if there are no rows or the counts differ.
Spread spread(const Rows& rows, std::span<const std::int32_t> labels);

}  // namespace gan::metrics
