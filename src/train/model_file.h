#pragma once

#include <string>
#include <vector>

#include "base/file.h"
#include "runtime/array.h"
#include "train/config.h"

namespace gan::train {

/// A trained model: all that is needed to draw samples or to start a run from it, without the state of its own run.
struct Model {
  Config config;              ///< the values of the networks, the loss and the optimizer
  graph::Shape sample_shape;  ///< [C, H, W] of images in [-1, 1], [D] of vectors
  data::SampleUnits units;    ///< of the training data
  data::ConditionSpec condition;
  std::string data_name, data_hash;  ///< of the training data
  std::int64_t steps = 0;            ///< that it was trained for
  runtime::State weights;            ///< f32: "generator.*" (averaged, if the run averaged) and "discriminator.*"

  /// A copy that shares the weights' memory.
  Model share() const;
};

/// The networks of a model.
models::ModelSpec model_spec(const Model& model);

/// Writes a model file. Equal models give equal bytes. Throws a data error if the file cannot be written.
void save_model(const std::string& path, const Model& model);

enum class Networks { both, generator };

/// Reads a model file, or RUNDIR/model.safetensors, and checks it: format, sizes, and that every tensor of the networks
/// is present, of its shape, f32 and finite. Throws a data error that says what was found and expected.
/// Networks::generator skips D's tensors, which sampling does not need.
Model load_model(const std::string& path, Networks networks = Networks::both);
Model load_model(base::InputFile& file, Networks networks = Networks::both);

}  // namespace gan::train
