#include "ops/ops.h"
#include "optim/optimizer.h"

namespace gan::optim {

using namespace ops;

void average(nn::Variables& variables, const std::vector<nn::Variable>& averaged, double decay) {
  for (const nn::Variable& variable : averaged) {
    const std::string name = "ema." + variable.name;
    const Tensor old = variables.declare(name, variable.shape, variable.init, nn::Role::buffer);
    variables.update(name, old * decay + variables.next(variable.name) * (1.0 - decay));
  }
}

}  // namespace gan::optim
