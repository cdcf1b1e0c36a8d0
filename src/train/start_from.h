#pragma once

#include <cmath>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/model_file.h"
#include "train/step.h"

namespace gan::train {

/// A larger weight or moment counts as diverged, for the reason at kLargestLoss.
inline constexpr float kLargestState = 1e18f;
inline bool is_lost(float value) { return !(std::abs(value) < kLargestState); }

/// Whether a variable belongs to the networks, unlike moments and averages.
inline bool of_network(const nn::Variable& variable) {
  return variable.name.starts_with(kGenerator) || variable.name.starts_with(kDiscriminator);
}

/// Puts the weights of a model into the state of a new run on `dataset`. If the run's condition is another one, what
/// belongs to conditions starts anew: embeddings, projections, auxiliary layers, conditional scales and shifts, and of
/// the layers that a condition joins the columns that the model lacks. Returns a line that says what started anew, or
/// "". `path` is the model's, for messages. Throws a usage error if samples or networks differ otherwise, a data error
/// for weights that have diverged.
std::string start_from(const Model& model, const std::string& path, const data::Dataset& dataset,
                       const data::ConditionSpec& condition, std::uint64_t seed,
                       const std::vector<nn::Variable>& variables, runtime::State& state);

}  // namespace gan::train
