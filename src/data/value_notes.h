#pragma once

#include <string>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// What the values of images say of how they were made, a sentence each: bytes that are all 0 or 1 (or 255, which is
/// -1), few grey levels of 256, images of one colour. Empty for images as they should be and for vectors.
std::vector<std::string> value_notes(const Dataset& dataset);

}  // namespace gan::data
