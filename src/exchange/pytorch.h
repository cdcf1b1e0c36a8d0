#pragma once

#include <string>

#include "exchange/part.h"

namespace gan::exchange {

/// Writes NAME.safetensors and NAME.py to a folder, where NAME is the part's name, such as generator. The class
/// Generator in NAME.py is the network as a torch.nn.Module: `Generator()(z, *condition)` takes the part's input and a
/// tensor for each column of the condition, categories by position (int64), numbers in their units, and returns the
/// output, or a tuple if there are several. Makes the folder if it is missing. Throws a data error if a file cannot be
/// written.
void write_pytorch(const std::string& folder, const Part& part);

}  // namespace gan::exchange
