#include "losses/loss.h"

// The gradient penalty of LSGANs-GP (Mao et al. 2018, arXiv 1712.06391), at the points of DRAGAN (Kodali et al. 2017,
// arXiv 1705.07215): E (|grad D(x)| - 1)^2 at x = real + 1/2 std(real) u, u in U[0, 1) for each element.
namespace gan::losses {

using namespace ops;

namespace {

Tensor term(const PenaltyInput& input) {
  const Tensor centred = input.real - input.batch_mean(input.real);
  const Tensor deviation = sqrt(input.batch_mean(square(centred)));
  const Tensor near = stop_gradient(input.real + input.uniform("near", input.real.shape()) * (deviation * 0.5));
  return gradient_length_penalty(input.discriminate(near), near, 1);
}

}  // namespace

extern const Penalty lsgan_gp_penalty;
const Penalty lsgan_gp_penalty{"lsgan_gp", "lambda: D's loss + lambda (|grad D| - 1)^2 around real data", term};

}  // namespace gan::losses
