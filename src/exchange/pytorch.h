#pragma once

#include <string>

#include "train/model_file.h"

namespace gan::exchange {

/// Writes DIR/generator.safetensors and DIR/generator.py, whose class Generator is the generator of a model as a
/// torch.nn.Module: `Generator()(z, *condition)` draws samples [batch, ...sample] from z [batch, latent] and a tensor
/// [batch] for each column of the condition, categories by position (int64), numbers in their units. Makes the folder
/// if it is missing. Throws a data error if a file cannot be written.
void write_pytorch(const std::string& folder, const train::Model& model);

}  // namespace gan::exchange
