#pragma once

#include "nn/scope.h"

namespace gan::nn {

/// How far images are changed before D sees them; 0 leaves a change out.
struct AugmentOptions {
  double translation = 0;  ///< whole pixels up to this share of each side, zeros move in
  double cutout = 0;       ///< a box of this share of each side is set to 0
  double brightness = 0;   ///< a number of U(-brightness/2, brightness/2) is added
  bool any() const { return translation > 0 || cutout > 0 || brightness > 0; }
};

/// Random changes of images x [N, C, H, W] in [-1, 1], differentiable by x, for real images and fakes alike
/// (DiffAugment, Zhao et al. 2020, arXiv 2006.10738). The numbers are drawn in this scope.
Tensor augment(const Scope& s, Tensor x, const AugmentOptions& options);

}  // namespace gan::nn
