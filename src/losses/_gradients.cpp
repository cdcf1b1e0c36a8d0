#include "autodiff/gradient.h"
#include "losses/loss.h"

namespace gan::losses {

using namespace ops;

std::vector<Tensor> squared_gradients(Tensor logits, const std::vector<Tensor>& parts) {
  // Rows do not see each other, so the gradient of the sum holds each row's own gradient.
  std::vector<Tensor> squares;
  const std::int64_t rows = logits.dim(0) / static_cast<std::int64_t>(parts.size());
  for (const Tensor& gradient : autodiff::gradient(sum(logits), parts))
    squares.push_back(sum_to(square(reshape(gradient, {rows, gradient.elements() / rows})), {rows, 1}));
  return squares;
}

Tensor squared_gradients(Tensor logits, Tensor x) { return squared_gradients(logits, std::vector{x})[0]; }

Tensor gradient_length_penalty(Tensor logits, Tensor x, double target) {
  // The root's own derivative is infinite at 0, which a network of dead units does reach.
  constexpr double kTiny = 1e-12;
  return mean(square(sqrt(squared_gradients(logits, x) + kTiny) - target));
}

}  // namespace gan::losses
