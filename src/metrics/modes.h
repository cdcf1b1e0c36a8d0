#pragma once

#include "metrics/rows.h"

namespace gan::metrics {

struct ModeCount {
  std::int64_t found = 0;             ///< modes that are nearest to a high-quality sample
  double high_quality = 0;            ///< share of samples within three deviations of a mode, [0, 1]
  std::vector<std::int32_t> nearest;  ///< [N]: the mode nearest to each sample
};

/// Compares samples [N, D] with the modes [M, D] of a mixture of Gaussians of this standard deviation, as VEEGAN
/// (Srivastava et al. 2017, arXiv 1705.07761) and PacGAN (Lin et al. 2018, arXiv 1712.04086) do. Throws a usage error
/// if the widths differ.
ModeCount count_modes(const Rows& samples, const Rows& modes, double deviation);

struct ModeShares {
  std::int64_t found = 0;  ///< modes with a sample
  double divergence = 0;   ///< Kullback-Leibler divergence of the modes' shares of samples from equal ones, nats
};

/// Compares the modes of samples, [N] in [0, modes), with equally many of each, as PacGAN does for stacked MNIST (Lin
/// et al. 2018, arXiv 1712.04086, section 4.2). Throws a usage error without samples, or if a mode is out of range.
ModeShares share_modes(std::span<const std::int32_t> of_samples, std::int64_t modes);

}  // namespace gan::metrics
