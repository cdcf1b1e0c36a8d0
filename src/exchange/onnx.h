#pragma once

#include <cstdint>
#include <string>

#include "exchange/part.h"

namespace gan::exchange {

/// A network as an ONNX file (opset 17) for batches of this size; 0: of any. Inputs: that of the part and the columns
/// of its condition by name, categories int64 by position, numbers f32 in their units. Outputs: those of the part.
/// Metadata: the training data, the columns, the range of values. Throws a usage error if a column has the name of
/// another input or output.
std::string onnx_of(const Part& part, std::int64_t batch);

}  // namespace gan::exchange
