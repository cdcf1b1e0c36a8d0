#include "autodiff/gradient.h"
#include "losses/loss.h"

namespace gan::losses {

using namespace ops;

Tensor squared_gradients(Tensor logits, Tensor x) {
  // Rows do not see each other, so the gradient of the sum holds each row's own gradient.
  const Tensor gradient = autodiff::gradient(sum(logits), {x})[0];
  const std::int64_t rows = logits.dim(0);
  return sum_to(square(reshape(gradient, {rows, gradient.elements() / rows})), {rows, 1});
}

Tensor gradient_length_penalty(Tensor logits, Tensor x, double target) {
  // The root's own derivative is infinite at 0, which a network of dead units does reach.
  constexpr double kTiny = 1e-12;
  return mean(square(sqrt(squared_gradients(logits, x) + kTiny) - target));
}

}  // namespace gan::losses
