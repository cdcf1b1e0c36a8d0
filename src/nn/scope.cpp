#include "nn/scope.h"

#include <cmath>

#include "base/error.h"
#include "base/random.h"
#include "ops/ops.h"

namespace gan::nn {

Tensor Variables::declare(const std::string& name, const Shape& shape, Init init, Role role) {
  const auto found = by_name_.find(name);
  if (found != by_name_.end()) {
    const Variable& variable = all_[found->second];
    if (variable.shape != shape)
      base::fail_usage("{} has shape {} and is declared again with {}", name, graph::to_string(variable.shape),
                       graph::to_string(shape));
    return variable.value;
  }
  by_name_[name] = all_.size();
  all_.push_back({name, shape, init, role, graph_.input(name, {graph::DType::f32, shape})});
  return all_.back().value;
}

void Variables::update(const std::string& name, Tensor next) {
  if (!by_name_.count(name)) base::fail_usage("no variable is called {}", name);
  updates_[name] = next;
}

Tensor Variables::next(const std::string& name) const {
  const auto updated = updates_.find(name);
  if (updated != updates_.end()) return updated->second;
  const auto found = by_name_.find(name);
  if (found == by_name_.end()) base::fail_usage("no variable is called {}", name);
  return all_[found->second].value;
}

Tensor Variables::uniform(const std::string& name, const Shape& shape) const {
  if (!random_) base::fail_run("{} draws random numbers, but the graph has no random key", name);
  return ops::random_uniform(*random_, base::stream_of(pass_ + "/" + name), shape);
}

Tensor Variables::normal(const std::string& name, const Shape& shape) const {
  if (!random_) base::fail_run("{} draws random numbers, but the graph has no random key", name);
  return ops::random_normal(*random_, base::stream_of(pass_ + "/" + name), shape);
}

std::vector<Tensor> Variables::joint_sums(const std::vector<Tensor>& tensors) const {
  if (parts_ == 1) return tensors;
  std::vector<Shape> shapes;
  for (const Tensor& tensor : tensors) shapes.push_back(tensor.shape());
  return ops::unflatten(ops::all_reduce(tensors), shapes);
}

std::vector<Tensor> Variables::joint_means(const std::vector<Tensor>& tensors) const {
  std::vector<Tensor> means = joint_sums(tensors);
  if (parts_ > 1)
    for (Tensor& mean : means) mean = ops::operator*(mean, 1.0 / static_cast<double>(parts_));
  return means;
}

std::vector<Variable> Variables::select(std::string_view prefix, Role role) const {
  std::vector<Variable> selected;
  for (const Variable& variable : all_)
    if (variable.role == role && variable.name.starts_with(prefix)) selected.push_back(variable);
  return selected;
}

void Variables::finish() {
  for (const auto& [name, tensor] : updates_) graph_.output(name, tensor);
}

std::string Scope::join(std::string_view name) const {
  return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

Scope Scope::next(const std::string& list, int modules) {
  int& position = positions_[list];
  const Scope scope = *this / (list + "." + std::to_string(position));
  position += modules;
  return scope;
}

void initialize(const std::vector<Variable>& variables, std::uint64_t seed, runtime::State& state) {
  for (const Variable& variable : variables) {
    if (state.count(variable.name) || variable.init.kind == Init::Kind::copy) continue;
    runtime::Array array({graph::DType::f32, variable.shape});
    const base::RandomStream random(seed, base::stream_of(variable.name));
    const std::span<float> values = array.f32();
    double squares = 0;
    for (std::size_t i = 0; i < values.size(); ++i) {
      switch (variable.init.kind) {
        case Init::Kind::constant:
          values[i] = static_cast<float>(variable.init.value);
          break;
        case Init::Kind::uniform:
          values[i] = static_cast<float>((2.0 * static_cast<double>(random.uniform(i)) - 1.0) * variable.init.value);
          break;
        case Init::Kind::copy:
          break;  // later, when its source is filled
        case Init::Kind::normal:
        case Init::Kind::unit_vector:
          values[i] = static_cast<float>(static_cast<double>(random.normal(i)) * variable.init.value);
      }
      squares += static_cast<double>(values[i]) * static_cast<double>(values[i]);
    }
    if (variable.init.kind == Init::Kind::unit_vector)
      for (float& value : values) value = static_cast<float>(static_cast<double>(value) / std::sqrt(squares));
    state[variable.name] = std::move(array);
  }
  for (const Variable& variable : variables)
    if (variable.init.kind == Init::Kind::copy && !state.count(variable.name))
      state[variable.name] = runtime::Array(variable.shape, state.at(variable.init.from).f32());
}

void set_random_key(std::uint64_t seed, runtime::State& state) {
  const runtime::Writing key(state.at(kRandomKey));
  key.i32()[0] = static_cast<std::int32_t>(static_cast<std::uint32_t>(seed));
  key.i32()[1] = static_cast<std::int32_t>(static_cast<std::uint32_t>(seed >> 32));
}

}  // namespace gan::nn
