#pragma once

#include <cstdint>
#include <string>

#include "exchange/part.h"

namespace gan::exchange {

/// A network as an ONNX file (opset 17) for batches of this size; 0: of any size. Its inputs are the part's input and,
/// by name, the columns of the condition: categories by position as int64, numbers in their units as f32. Its outputs
/// are the part's outputs. Its metadata hold the training data, the columns and the range of values. Throws a usage
/// error if a column has the name of another input or output.
std::string onnx_of(const Part& part, std::int64_t batch);

}  // namespace gan::exchange
