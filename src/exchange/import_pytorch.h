#pragma once

#include <string>

#include "train/model_file.h"

namespace gan::exchange {

/// The tutorial's classes from PyTorch state dicts, each in a safetensors file: "embedding.weight" [classes, width]
/// (none: unconditional), and of each linear layer "model.N.bias" and "model.N.weight", or with spectral norm
/// "weight_orig", "weight_u" and "weight_v" or the names of parametrizations. Widths, classes and latents follow from
/// their shapes; each hidden layer of the generator ends in `activation` (relu, leaky_relu or tanh), the last one in
/// tanh. Without a `discriminator` ("") it gets random weights; its hidden layers end in ReLU. image: [C, H, W]. Throws
/// a data error naming the tensor that does not fit.
train::Model import_pytorch(const std::string& generator, const std::string& discriminator, const graph::Shape& image,
                            const std::string& activation);

}  // namespace gan::exchange
