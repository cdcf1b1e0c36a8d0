#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// Ascending indices of the images or vectors that differ from every one before them. Labels are ignored.
std::vector<std::uint32_t> distinct_samples(const Dataset& dataset);

/// Ascending indices of the images or vectors of `part` that are not in `whole`. Both have the same shape.
std::vector<std::uint32_t> samples_not_in(const Dataset& part, const Dataset& whole);

}  // namespace gan::data
