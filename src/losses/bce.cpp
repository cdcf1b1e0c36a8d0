#include "losses/loss.h"

// Cross entropy on logits (Goodfellow et al. 2014, arXiv 1406.2661): log D = -softplus(-logit) and
// log(1 - D) = -softplus(logit), so nothing saturates or overflows.
namespace gan::losses {

using namespace ops;

namespace {

Tensor generator(const LossSpec& spec, Tensor, Tensor fake) {
  return spec.saturating ? mean(softplus(fake)) * -1.0 : mean(softplus(fake * -1.0));
}

Tensor discriminator(const LossSpec&, Tensor real, Tensor fake) {
  return mean(softplus(real * -1.0)) + mean(softplus(fake));
}

Tensor verdict(const LossSpec&, Tensor logits) { return sigmoid(logits); }

}  // namespace

extern const Loss bce_loss;
const Loss bce_loss{"bce", "cross entropy, non-saturating unless loss.saturating is set", generator, discriminator,
                    verdict};

}  // namespace gan::losses
