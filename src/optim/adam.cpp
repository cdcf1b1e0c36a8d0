#include <cmath>

#include "ops/ops.h"
#include "optim/optimizer.h"

// Adam (Kingma and Ba 2015, arXiv 1412.6980) with epsilon outside the corrected root, as torch.optim.Adam:
// w -= lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + epsilon).
namespace gan::optim {

using namespace ops;

namespace {

/// 1 - beta^t, accurate where beta^t is near 1.
Tensor bias_correction(Tensor t, double beta) {
  if (beta == 0.0) return constant(*t.graph, 1.0, t.shape());
  return expm1(t * std::log(beta)) * -1.0;
}

void apply(nn::Variables& variables, const OptimizerSpec& spec, const std::vector<nn::Variable>& parameters,
           const std::vector<Tensor>& gradients, Tensor t) {
  const Tensor rate = learning_rate(spec, t) / bias_correction(t + 1.0, spec.beta1);
  Tensor epsilon = constant(*t.graph, spec.epsilon);
  if (const auto share = progress(spec.schedule, t); share && spec.epsilon_final > 0)
    epsilon = epsilon + *share * (spec.epsilon_final - spec.epsilon);
  const Tensor root = 1.0 / sqrt(bias_correction(t + 1.0, spec.beta2));
  for (std::size_t i = 0; i < parameters.size(); ++i) {
    const std::string& name = parameters[i].name;
    const Tensor w = parameters[i].value;
    const std::string m_name = "adam.m." + name, v_name = "adam.v." + name;
    const auto declare = [&](const std::string& moment) {
      return variables.declare(moment, w.shape(), nn::Init::constant(0), nn::Role::buffer);
    };
    const Tensor g = spec.weight_decay > 0 ? gradients[i] + w * spec.weight_decay : gradients[i];
    Tensor m = g;
    if (spec.beta1 > 0) {  // else the first moment is the gradient itself and needs no buffer
      m = declare(m_name) * spec.beta1 + g * (1.0 - spec.beta1);
      variables.update(m_name, m);
    }
    const Tensor v = declare(v_name) * spec.beta2 + square(g) * (1.0 - spec.beta2);
    variables.update(v_name, v);
    variables.update(name, w - m * rate / (sqrt(v) * root + epsilon));
  }
}

}  // namespace

extern const Optimizer adam_optimizer;
const Optimizer adam_optimizer{"adam", "Adam, weight decay added to the gradient (L2)", apply};

}  // namespace gan::optim
