#pragma once

#include <string>

#include "train/model_file.h"

namespace gan::exchange {

/// Imports the generator of the PyTorch tutorial from its state dict in a safetensors file: "embedding.weight"
/// [classes, width] (none: unconditional), and for each linear layer "model.N.bias" and "model.N.weight"; with spectral
/// norm "weight_orig", "weight_u" and "weight_v", or the names that torch.nn.utils.parametrizations gives them. Widths,
/// classes and latents follow from the shapes; hidden layers end in `activation` (relu, leaky_relu or tanh), the last
/// one in tanh. The discriminator gets random weights. image: [C, H, W]. Throws a data error naming the tensor that
/// does not fit.
train::Model import_pytorch(const std::string& path, const graph::Shape& image, const std::string& activation);

}  // namespace gan::exchange
