#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

struct Parzen {
  double mean = 0;   ///< log-likelihood of a test row, in nats
  double se = 0;     ///< its standard error over the test rows
  double sigma = 0;  ///< the chosen width of the kernel
};

/// log p(row) for each row under the mixture of Gaussians of width sigma around the samples [N, D].
std::vector<double> parzen_log_likelihoods(const Rows& samples, const Rows& rows, double sigma);

/// The Parzen window estimate of Breuleux et al. 2011, as Goodfellow et al. 2014 (arXiv 1406.2661) and Mirza and
/// Osindero 2014 report it: sigma is the one of ten from 0.1 to 1, evenly spaced in the logarithm, under which the
/// validation rows are the most likely. Pixels must be in [0, 1] to compare with the papers. The ranks share
/// the rows, and all get the result. Throws a usage error if widths differ or there are fewer than two test rows.
Parzen parzen(const Rows& samples, const Rows& validation, const Rows& test,
              runtime::Communicator& ranks = runtime::one_rank());

}  // namespace gan::metrics
