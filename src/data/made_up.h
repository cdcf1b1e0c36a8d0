#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/reader.h"

namespace gan::data {

// Helpers for the readers of synthetic data.

/// The most bytes of all pictures.
inline constexpr std::int64_t kMostMadeBytes = std::int64_t{1} << 35;

/// Adds a column of numbers to the condition: `unit` and `period` (0: none) unless options.read says otherwise. Throws
/// a data error naming `source` if all values are equal.
void add_numbers(Dataset& dataset, const std::string& name, std::string_view unit, double period,
                 std::vector<float> values, const SourceOptions& options, const std::string& source);

/// Rotates a grey image [side, side] counter-clockwise about its centre, bilinearly; pixels from outside the image are
/// 0. `dst` must not overlap `src`.
void rotate_image(const std::uint8_t* src, std::uint8_t* dst, std::int64_t side, double degrees);

}  // namespace gan::data
