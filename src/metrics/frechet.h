#pragma once

#include <vector>

#include "metrics/rows.h"

namespace gan::metrics {

/// A Gaussian fitted to rows.
struct Gaussian {
  std::int64_t samples = 0;
  std::vector<double> mean;        ///< [D]
  std::vector<double> covariance;  ///< [D, D], divided by N - 1
};

/// The Gaussian of rows [N, D]. Throws a usage error for fewer than two rows.
Gaussian fit_gaussian(const Rows& rows);

/// |mu_a - mu_b|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)) >= 0, the squared Frechet distance of two Gaussians (Dowson and
/// Landau 1982; on features of a network the FID of Heusel et al. 2017, arXiv 1706.08500), in double. Covariances may
/// be singular, as with fewer samples than features, but then the distance is a poor estimate. Its unit is that of the
/// features, squared. Throws a usage error if the widths differ.
double frechet_distance(const Gaussian& a, const Gaussian& b);

}  // namespace gan::metrics
