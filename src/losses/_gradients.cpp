#include "autodiff/gradient.h"
#include "losses/loss.h"

namespace gan::losses {

using namespace ops;

std::vector<Tensor> squared_gradients(Tensor logits, const std::vector<Tensor>& parts) {
  // Each logit depends on its own rows alone, so the gradient of the sum holds the gradient of each logit.
  std::vector<Tensor> squares;
  const std::int64_t rows = logits.dim(0) / static_cast<std::int64_t>(parts.size());
  for (const Tensor& gradient : autodiff::gradient(sum(logits), parts))
    squares.push_back(sum_to(square(reshape(gradient, {rows, gradient.elements() / rows})), {rows, 1}));
  return squares;
}

Tensor squared_gradients(Tensor logits, Tensor x) { return squared_gradients(logits, std::vector{x})[0]; }

Tensor gradient_length_penalty(Tensor logits, Tensor x, double target) {
  // The derivative of sqrt is infinite at 0, a length that a network of dead ReLUs reaches.
  constexpr double kTiny = 1e-12;
  return mean(square(sqrt(squared_gradients(logits, x) + kTiny) - target));
}

}  // namespace gan::losses
