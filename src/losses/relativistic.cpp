#include "losses/loss.h"

// Relativistic pairing (Jolicoeur-Martineau 2018, arXiv 1807.00734; with R1 and R2 the loss of R3GAN, Huang et al.
// 2024, arXiv 2501.05441): cross entropy of D(real) - D(fake). Each real row is paired with the fake of its own label.
namespace gan::losses {

using namespace ops;

namespace {

Tensor generator(const LossSpec&, Tensor real, Tensor fake) { return mean(softplus(real - fake)); }

Tensor discriminator(const LossSpec&, Tensor real, Tensor fake) { return mean(softplus(fake - real)); }

Tensor verdict(const LossSpec&, Tensor logits) { return logits; }

}  // namespace

extern const Loss relativistic_loss;
const Loss relativistic_loss{"relativistic", "cross entropy between each real row and the fake of its label",
                             generator,      discriminator,
                             verdict,        /*paired=*/true};

}  // namespace gan::losses
