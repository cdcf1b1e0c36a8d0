#include "op_suite/build.h"

#include <cmath>
#include <string>

#include "autodiff/gradient.h"
#include "base/random.h"
#include "ops/ops.h"

namespace gan::test {

using namespace ops;
using runtime::ReferenceValues;

void build(const OpCase& test, Built& built) {
  for (std::size_t i = 0; i < test.arguments.size(); ++i) {
    const Argument& argument = test.arguments[i];
    const std::string name = "x" + std::to_string(i);
    built.arguments.push_back(built.graph.input(name, argument.type));
    const base::RandomStream random(1, base::stream_of(test.op + test.name + name));
    std::vector<double>& values = built.values[name];
    for (std::int64_t k = 0; k < argument.type.elements(); ++k) {
      const auto u = static_cast<double>(random.uniform(static_cast<std::uint64_t>(k)));
      double value = argument.low + (argument.high - argument.low) * u;
      if (argument.type.dtype == DType::i32) value = std::floor(value);
      if (std::abs(value) < argument.away_from_zero)
        value = value < 0 ? -argument.away_from_zero : argument.away_from_zero;
      // Both executors must see the same number.
      values.push_back(static_cast<double>(static_cast<float>(value)));
    }
  }
  built.result = test.build(built.arguments);
}

Tensor project(Tensor tensor, int salt, ReferenceValues& values) {
  const std::string name = "weights" + std::to_string(salt);
  const Tensor weights = tensor.graph->input(name, {DType::f32, tensor.shape()});
  const base::RandomStream random(2, static_cast<std::uint32_t>(salt));
  for (std::int64_t k = 0; k < tensor.elements(); ++k)
    values[name].push_back(static_cast<double>(2 * random.uniform(static_cast<std::uint64_t>(k)) - 1));
  return sum(tensor * weights);
}

std::vector<Tensor> differentiable(const OpCase& test, const Built& built) {
  std::vector<Tensor> tensors;
  for (std::size_t i = 0; i < test.arguments.size(); ++i)
    if (test.arguments[i].differentiable) tensors.push_back(built.arguments[i]);
  return tensors;
}

void add_outputs(const OpCase& test, Built& built) {
  built.graph.output("value", built.result);
  const std::vector<Tensor> wrt = differentiable(test, built);
  if (wrt.empty()) return;
  const std::vector<Tensor> first = autodiff::gradient(project(built.result, 0, built.values), wrt);
  Tensor total = project(first[0], 1, built.values);
  for (std::size_t i = 1; i < first.size(); ++i)
    total = total + project(first[i], 1 + static_cast<int>(i), built.values);
  const std::vector<Tensor> second = autodiff::gradient(total, wrt);
  built.graph.output("projection", total);
  for (std::size_t i = 0; i < wrt.size(); ++i) {
    built.graph.output("first" + std::to_string(i), first[i]);
    built.graph.output("second" + std::to_string(i), second[i]);
  }
}

}  // namespace gan::test
