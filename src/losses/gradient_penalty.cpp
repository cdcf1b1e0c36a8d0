#include "autodiff/gradient.h"
#include "losses/loss.h"

namespace gan::losses {

using namespace ops;

Tensor gradient_penalty(Tensor logits, Tensor x) {
  // Rows do not see each other, so the gradient of the sum holds each row's own gradient.
  const Tensor gradient = autodiff::gradient(sum(logits), {x})[0];
  return sum(square(gradient)) * (1.0 / static_cast<double>(x.dim(0)));
}

}  // namespace gan::losses
