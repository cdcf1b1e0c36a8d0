#pragma once

#include <string>

#include "train/model_file.h"

namespace gan::exchange {

/// Imports the networks of the PyTorch tutorial from their state dicts, each in a safetensors file: "embedding.weight"
/// [classes, width] (none: unconditional), and for each linear layer "model.N.bias" and "model.N.weight"; with spectral
/// norm "weight_orig", "weight_u" and "weight_v", or the names that torch.nn.utils.parametrizations gives them. Widths,
/// classes and latents follow from the shapes; the generator's hidden layers end in `activation` (relu, leaky_relu or
/// tanh), the last one in tanh, the discriminator's in ReLU. An empty `discriminator` gets random weights. image:
/// [C, H, W]. Throws a data error naming the tensor that does not fit.
train::Model import_pytorch(const std::string& generator, const std::string& discriminator, const graph::Shape& image,
                            const std::string& activation);

}  // namespace gan::exchange
