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

/// The same with the covariance (1 - r) C + r tr(C)/D I, where r in [0, 1] is the share that Ledoit and Wolf 2004 ("A
/// well-conditioned estimator for large-dimensional covariance matrices") estimate from the rows: near 1 for a few
/// rows, near 0 for many. It has an inverse even if there are fewer rows than columns.
Gaussian fit_shrunk_gaussian(const Rows& rows);

/// |mu_a - mu_b|^2 + tr(Ca + Cb - 2 (Ca Cb)^(1/2)) >= 0, the squared Frechet distance of two Gaussians (Dowson and
/// Landau 1982; on features of a network the FID of Heusel et al. 2017, arXiv 1706.08500), in double. Covariances may
/// be singular, as with fewer samples than features, but then the distance is a poor estimate. Its unit is that of the
/// features, squared. Throws a usage error if the widths differ.
double frechet_distance(const Gaussian& a, const Gaussian& b);

/// The Frechet distance of a few rows a [N, D], down to two, from rows b [M, D] with M >= N. Shrunk Gaussians compare
/// only if both are of equally many rows, so it is the mean over up to ten blocks of N rows of b. Chance alone makes it
/// larger than 0, the more so the fewer rows there are. Throws a usage error for fewer than two rows, and if M < N.
double frechet_distance_of_few(const Rows& a, const Rows& b);

}  // namespace gan::metrics
