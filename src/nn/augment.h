#pragma once

#include "nn/scope.h"

namespace gan::nn {

/// The strengths of the random changes of images before D sees them; 0 turns a change off.
struct AugmentOptions {
  double translation = 0;  ///< shift by whole pixels, up to this share of each side; zeros fill the gap
  double cutout = 0;       ///< a box with this share of each side is set to 0
  double brightness = 0;   ///< a value from U(-brightness/2, brightness/2) is added to each image
  bool any() const { return translation > 0 || cutout > 0 || brightness > 0; }
};

/// Changes images x [N, C, H, W] in [-1, 1] at random; real images and fakes alike (DiffAugment, Zhao et al. 2020,
/// arXiv 2006.10738). Differentiable with respect to x. The random streams are named in this scope.
Tensor augment(const Scope& s, Tensor x, const AugmentOptions& options);

}  // namespace gan::nn
