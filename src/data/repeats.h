#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// The images whose bytes no image before them has: ascending indices. Labels do not count.
std::vector<std::uint32_t> distinct_images(const Dataset& images);

/// The images of `part` whose bytes no image of `whole` has: ascending indices. Both are of one shape.
std::vector<std::uint32_t> images_not_in(const Dataset& part, const Dataset& whole);

}  // namespace gan::data
