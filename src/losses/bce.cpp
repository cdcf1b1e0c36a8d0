#include "losses/loss.h"

// Cross entropy on logits (Goodfellow et al. 2014, arXiv 1406.2661): log D = -softplus(-logit) and
// log(1 - D) = -softplus(logit), so nothing saturates or overflows. One-sided label smoothing: Salimans et al. 2016,
// arXiv 1606.03498.
namespace gan::losses {

using namespace ops;

namespace {

Tensor generator(const LossSpec& spec, Tensor, Tensor fake) {
  return spec.saturating ? mean(softplus(fake)) * -1.0 : mean(softplus(fake * -1.0));
}

Tensor discriminator(const LossSpec& spec, Tensor real, Tensor fake) {
  const Tensor loss = mean(softplus(real * -1.0)) + mean(softplus(fake));
  // -(1 - s) log D - s log(1 - D) = -log D + s logit
  return spec.smoothing > 0 ? loss + mean(real) * spec.smoothing : loss;
}

Tensor verdict(const LossSpec&, Tensor logits) { return sigmoid(logits); }

}  // namespace

extern const Loss bce_loss;
const Loss bce_loss{"bce", "cross entropy, non-saturating unless loss.saturating is set", generator, discriminator,
                    verdict};

}  // namespace gan::losses
