#include "losses/loss.h"

// The Wasserstein distance in its dual form (Arjovsky et al. 2017, arXiv 1701.07875). D must be kept Lipschitz by a
// penalty (penalty.wgan_gp) or by spectral norm.
namespace gan::losses {

using namespace ops;

namespace {

Tensor generator(const LossSpec&, Tensor, Tensor fake) { return mean(fake) * -1.0; }

Tensor discriminator(const LossSpec&, Tensor real, Tensor fake) { return mean(fake) - mean(real); }

Tensor verdict(const LossSpec&, Tensor logits) { return logits; }

}  // namespace

extern const Loss wasserstein_loss;
const Loss wasserstein_loss{"wasserstein", "difference of D's means; needs penalty.wgan_gp", generator, discriminator,
                            verdict};

}  // namespace gan::losses
