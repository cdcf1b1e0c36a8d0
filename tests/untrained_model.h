// A model to draw from, without training one.
#pragma once

#include "nn/scope.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan::test {

/// The generator of a preset for MNIST with random weights; those of linear and convolutional layers `scale` times as
/// large as they start, for trained weights are larger.
inline train::Model untrained_model(const char* preset, float scale = 1) {
  train::Model model;
  model.config = train::load_preset(preset);
  model.sample_shape = {1, 28, 28};
  model.condition = data::label_condition(10);
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  graph::Graph graph;
  const std::vector<nn::Variable> variables = train::build_sampler(graph, model.config, spec, 1);
  nn::initialize(variables, /*seed=*/1, model.weights);
  for (const auto& [name, array] : model.weights)
    if (array.type().shape.size() > 1 && name.find("embedding") == std::string::npos)
      for (float& value : array.f32()) value *= scale;
  return model;
}

}  // namespace gan::test
