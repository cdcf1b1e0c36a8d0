#include "losses/loss.h"

// WGAN-GP (Gulrajani et al. 2017, arXiv 1704.00028): E (|grad D(x)| - 1)^2 at x = u real + (1 - u) fake, u in U[0, 1).
namespace gan::losses {

using namespace ops;

namespace {

Tensor term(const PenaltyInput& input) {
  Shape rows(input.real.shape().size(), 1);
  rows[0] = input.real.dim(0);
  const Tensor u = input.uniform("mix", rows);
  const Tensor between = stop_gradient(input.fake + (input.real - input.fake) * u);
  return gradient_length_penalty(input.discriminate(between), between, 1);
}

}  // namespace

extern const Penalty wgan_gp_penalty;
const Penalty wgan_gp_penalty{"wgan_gp", "lambda: D's loss + lambda (|grad D| - 1)^2 between real data and fakes",
                              term};

}  // namespace gan::losses
