#include "ops/ops.h"
#include "optim/optimizer.h"

// Stochastic gradient descent with momentum, as torch.optim.SGD: b = momentum * b + g, w -= lr * b.
namespace gan::optim {

using namespace ops;

namespace {

void apply(nn::Variables& variables, const OptimizerSpec& spec, const std::vector<nn::Variable>& parameters,
           const std::vector<Tensor>& gradients, Tensor t) {
  const Tensor rate = learning_rate(spec, t);
  Tensor momentum = constant(*t.graph, spec.momentum);
  if (spec.momentum_steps > 0)
    momentum = momentum + progress(t, 0, spec.momentum_steps) * (spec.momentum_final - spec.momentum);
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const auto& [name, shape, init, role, w] = parameters[i];
    Tensor g = spec.weight_decay > 0 ? gradients[i] + w * spec.weight_decay : gradients[i];
    if (spec.momentum > 0 || spec.momentum_steps > 0) {
      const std::string buffer = "sgd.momentum." + name;
      g = variables.declare(buffer, shape, nn::Init::constant(0), nn::Role::buffer) * momentum + g;
      variables.update(buffer, g);
    }
    variables.update(name, w - g * rate);
  }
}

}  // namespace

extern const Optimizer sgd_optimizer;
const Optimizer sgd_optimizer{"sgd", "gradient descent with momentum", apply};

}  // namespace gan::optim
