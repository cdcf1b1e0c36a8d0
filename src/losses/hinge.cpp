#include "losses/loss.h"

// Hinge loss (Lim and Ye 2017, arXiv 1705.02894; Miyato et al. 2018, arXiv 1802.05957): D's loss is 0 where its output
// is above 1 on real data and below -1 on fakes; G maximizes D's output.
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
const Loss hinge_loss{"hinge", "hinge, D's loss ends at outputs 1 and -1", generator, discriminator, verdict};

}  // namespace gan::losses
