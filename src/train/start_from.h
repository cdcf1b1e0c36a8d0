#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"
#include "train/model_file.h"

namespace gan::train {

/// Puts the weights of a model into the state of a new run on `dataset`. If the run's condition is another one, what
/// belongs to conditions starts anew: embeddings, projections, auxiliary layers, conditional scales and shifts, and of
/// the layers that a condition joins the columns that the model lacks. Returns a line that says what started anew, or
/// "". `path` is the model's, for messages. Throws a usage error if samples or networks differ otherwise, a data error
/// for weights that have diverged.
std::string start_from(const Model& model, const std::string& path, const data::Dataset& dataset,
                       const data::ConditionSpec& condition, std::uint64_t seed,
                       const std::vector<nn::Variable>& variables, runtime::State& state);

}  // namespace gan::train
