#pragma once

#include <cstdint>
#include <string>

#include "train/model_file.h"

namespace gan::exchange {

/// The generator of a model as an ONNX file (opset 17) for batches of this size; 0: of any. Inputs: "z" f32 [batch,
/// latent] and the columns of the condition by name, categories int64 [batch] by position, numbers f32 [batch] in their
/// units. Output: "samples" f32, images [batch, C, H, W] in [-1, 1] (in the data's units if the data were not bytes) or
/// vectors [batch, D] in the data's units. Metadata: the training data, the columns, the range of values. Throws a
/// usage error if a column has the name of another input.
std::string onnx_of(const train::Model& model, std::int64_t batch);

}  // namespace gan::exchange
