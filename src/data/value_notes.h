#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// Notes, a sentence each, on pixels that suggest a mistake in the data: bytes that are all 0 or 1 (or 255, -1 as a
/// byte), a small range of values, images of one colour. Empty for plausible images and for vectors.
std::vector<std::string> value_notes(const Dataset& dataset);

}  // namespace gan::data
