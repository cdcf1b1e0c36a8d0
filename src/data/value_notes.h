#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// Notes on pixels that suggest a mistake in the data, a sentence each: bytes that are all 0 or 1 (or 255, which is
/// -1), a small range of grey levels, images of one colour. Empty for plausible images and for vectors.
std::vector<std::string> value_notes(const Dataset& dataset);

}  // namespace gan::data
