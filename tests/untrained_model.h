// Models with random weights, for tests that sample.
#pragma once

#include <cmath>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "nn/scope.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan::test {

/// Sets spectral norm's vectors u [rows] and v [columns] by power iteration, as training does. Random ones estimate a
/// norm near 0, and weights divided by it saturate every pixel.
inline void converge(std::span<const float> weight, std::span<float> u, std::span<float> v) {
  const auto product = [](std::span<float> result, auto element, std::span<const float> vector) {
    double squares = 0;
    for (std::size_t i = 0; i < result.size(); ++i) {
      double sum = 0;
      for (std::size_t j = 0; j < vector.size(); ++j) sum += static_cast<double>(element(i, j) * vector[j]);
      result[i] = static_cast<float>(sum);
      squares += sum * sum;
    }
    for (float& value : result) value /= static_cast<float>(std::sqrt(squares));
  };
  for (int iteration = 0; iteration < 10; ++iteration) {
    product(
        v, [&](std::size_t i, std::size_t j) { return weight[j * v.size() + i]; }, u);
    product(
        u, [&](std::size_t i, std::size_t j) { return weight[i * v.size() + j]; }, v);
  }
}

/// The variables of both networks, as the model's configuration, samples and condition make them.
inline std::vector<nn::Variable> network_variables(graph::Graph& graph, const train::Model& model) {
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  std::vector<nn::Variable> variables = train::build_sampler(graph, model.config, spec, 1);
  for (const nn::Variable& variable : train::discriminator_variables(model.config, spec)) variables.push_back(variable);
  return variables;
}

/// Gives both networks random weights, always the same, as a run starts with.
inline void give_random_weights(train::Model& model) {
  graph::Graph graph;
  model.weights.clear();
  nn::initialize(network_variables(graph, model), /*seed=*/1, model.weights);
}

/// Multiplies weights of linear and convolutional layers (and the gains) by `scale`, since trained weights are larger,
/// and makes the vectors of spectral norm fit them.
inline void scale_weights(runtime::State& weights, float scale) {
  for (const auto& [name, array] : weights) {
    if (name.ends_with(".gain") || (array.type().shape.size() > 1 && name.find("embedding") == std::string::npos))
      for (float& value : array.f32()) value *= scale;
    if (name.ends_with(".weight_orig")) {
      const std::string layer = name.substr(0, name.size() - std::string("_orig").size());
      converge(array.f32(), weights.at(layer + "_u").f32(), weights.at(layer + "_v").f32());
    }
  }
}

/// The generator of a preset, for MNIST unless another condition or shape is given, with random weights,
/// scaled by scale_weights.
inline train::Model untrained_model(const char* preset, float scale = 1,
                                    const data::ConditionSpec& condition = data::label_condition(10),
                                    const std::function<void(train::Config&)>& change = {},
                                    const graph::Shape& sample = {1, 28, 28}) {
  train::Model model;
  model.config = train::load_preset(preset);
  if (change) change(model.config);
  model.sample_shape = sample;
  model.condition = condition;
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  graph::Graph graph;
  const std::vector<nn::Variable> variables = train::build_sampler(graph, model.config, spec, 1);
  nn::initialize(variables, /*seed=*/1, model.weights);
  scale_weights(model.weights, scale);
  return model;
}

/// Adds a discriminator with random weights, scaled by scale_weights.
inline void add_discriminator(train::Model& model, float scale) {
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  runtime::State weights;
  nn::initialize(train::discriminator_variables(model.config, spec), /*seed=*/1, weights);
  scale_weights(weights, scale);
  for (auto& [name, array] : weights) model.weights[name] = std::move(array);
}

}  // namespace gan::test
