#include "losses/loss.h"

// Hinge loss (Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957): D is drawn above 1 on real data
// and below -1 on fakes and let alone there; G raises D.
namespace gan::losses {

using namespace ops;

namespace {

Tensor generator(const LossSpec&, Tensor, Tensor fake) { return mean(fake) * -1.0; }

Tensor discriminator(const LossSpec&, Tensor real, Tensor fake) {
  return mean(relu(1.0 - real)) + mean(relu(1.0 + fake));
}

Tensor verdict(const LossSpec&, Tensor logits) { return logits; }

}  // namespace

extern const Loss hinge_loss;
const Loss hinge_loss{"hinge", "hinge, D's outputs count up to 1 and down to -1", generator, discriminator, verdict};

}  // namespace gan::losses
