#include "ops/ops.h"
#include "optim/optimizer.h"

namespace gan::optim {

using namespace ops;

std::string average_of(const std::string& variable) { return "ema." + variable; }

void average(nn::Variables& variables, const std::vector<nn::Variable>& averaged, double decay, bool warmup, Tensor t) {
  // The weight of the new value: 1 - decay, in warm-up at least 9 / (10 + t).
  Tensor share = constant(*t.graph, 1.0 - decay);
  if (warmup) share = maximum(9.0 / (t + 10.0), share);
  for (const nn::Variable& variable : averaged) {
    const std::string name = average_of(variable.name);
    const Tensor old = variables.declare(name, variable.shape, nn::Init::copy(variable.name), nn::Role::buffer);
    const Tensor kept = warmup ? old * (1.0 - share) : old * decay;
    variables.update(name, kept + variables.next(variable.name) * share);
  }
}

}  // namespace gan::optim
