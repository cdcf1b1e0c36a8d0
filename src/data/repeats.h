#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// Ascending indices of the images that differ from every image before them. Labels are ignored.
std::vector<std::uint32_t> distinct_images(const Dataset& images);

/// Ascending indices of the images of `part` that are not in `whole`. Both have the same shape.
std::vector<std::uint32_t> images_not_in(const Dataset& part, const Dataset& whole);

}  // namespace gan::data
