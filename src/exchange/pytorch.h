#pragma once

#include <string>

#include "exchange/part.h"

namespace gan::exchange {

/// Writes DIR/generator.safetensors and DIR/generator.py (the part's name), whose class Generator is the network as a
/// torch.nn.Module: `Generator()(z, *condition)` takes the part's input and a tensor for each column of the condition,
/// categories by position (int64), numbers in their units, and returns the output, or a tuple of them. Makes the folder
/// if it is missing. Throws a data error if a file cannot be written.
void write_pytorch(const std::string& folder, const Part& part);

}  // namespace gan::exchange
