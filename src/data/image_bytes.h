#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "data/dataset.h"

namespace gan::data {

/// The range of an array's values, for images that are not bytes.
struct ValueRange {
  double minimum = 0, maximum = 0;
  std::int64_t seen = 0;

  /// Extends the range by more values, of images of `size` elements each. Throws a data error that names the first
  /// image with a value that is not finite.
  void add(std::span<const double> values, std::int64_t size, const std::string& path);
};

/// Sets the units of images with values in this range, the values of the bytes 0 and 255. They are 0 and 255 if the
/// values lie between these and reach above 127; else 0 and 1 for floats between these; else -1 and 1 for floats
/// between these; else the range itself. Adds a note with the units. Throws a data error if all values are equal.
void set_units(Dataset& dataset, const ValueRange& range, bool whole, const std::string& path);

/// The byte nearest to a value in these units.
std::uint8_t byte_of(double value, const SampleUnits& units);

/// Permutes `count` images from [C, H, W] to [H, W, C], in place.
void make_channels_last(std::uint8_t* pixels, std::int64_t count, std::int64_t channels, std::int64_t area);

/// Swaps the axes H and W of images [H, W, C], in place, and in dataset.sample_shape.
void transpose_images(Dataset& dataset, std::uint8_t* pixels);

}  // namespace gan::data
