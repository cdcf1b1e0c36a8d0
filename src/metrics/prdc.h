#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

struct Prdc {
  double precision = 0;  ///< share of fakes inside the ball of some real row, [0, 1]
  double recall = 0;     ///< share of real rows inside the ball of some fake, [0, 1]
  double density = 0;    ///< mean number of real balls a fake is in, divided by k; 1 for equal distributions
  double coverage = 0;   ///< share of real balls with a fake inside, [0, 1]
};

/// Precision and recall (Kynkaanniemi et al. 2019, arXiv 1904.06991), density and coverage (Naeem et al. 2020, arXiv
/// 2002.09797) of fake [M, D] against real [N, D]. The ball of a row is open and reaches to its k-th nearest other row
/// of the same side. `backend` computes distances; null is the CPU. Throws a usage error unless both sides have more
/// than k rows.
Prdc prdc(const Rows& real, const Rows& fake, int k = 5, const runtime::Backend* backend = nullptr);

}  // namespace gan::metrics
