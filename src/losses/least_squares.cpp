#include "losses/loss.h"

// LSGAN (Mao et al., ICCV 2017): D's target is b on real data and a on fakes, G's is c, with the paper's 1/2 on each
// term. (a, b, c) = (-1, 1, 0) minimizes the Pearson chi-square divergence, (0, 1, 1) is its other choice.
namespace gan::losses {

using namespace ops;

namespace {

Tensor verdict(const LossSpec& spec, Tensor logits) { return spec.sigmoid ? sigmoid(logits) : logits; }

/// 1/2 E (D - target)^2
Tensor half_squares(const LossSpec& spec, Tensor logits, double target) {
  return mean(square(verdict(spec, logits) - target)) * 0.5;
}

Tensor generator(const LossSpec& spec, Tensor, Tensor fake) { return half_squares(spec, fake, spec.c); }

Tensor discriminator(const LossSpec& spec, Tensor real, Tensor fake) {
  return half_squares(spec, real, spec.b) + half_squares(spec, fake, spec.a);
}

}  // namespace

extern const Loss least_squares_loss;
const Loss least_squares_loss{"least_squares", "least squares with targets a, b, c", generator, discriminator, verdict};

}  // namespace gan::losses
