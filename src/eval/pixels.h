#pragma once

#include <cstdint>
#include <vector>

#include "data/dataset.h"
#include "metrics/nearest.h"
#include "runtime/communicator.h"

namespace gan::eval {

/// The number of images of `size` elements that may be held as floats at a time, at least two.
std::int64_t most_images(std::int64_t size);

/// Images [first, first + count) as rows [count, H*W*C] of pixels in [0, 1].
std::vector<float> pixel_rows(const data::Dataset& images, std::int64_t first, std::int64_t count);

/// Converts Euclidean distances between rows of `elements` elements to root mean square differences.
std::vector<double> per_element(std::vector<double> distances, std::int64_t elements);

/// The image nearest to each row of pixels. The ranks share the search, and each gets the result.
metrics::Nearest nearest_images(const std::vector<float>& rows, const data::Dataset& images,
                                runtime::Communicator& ranks);

/// The distance, root mean square of pixels in [0, 1], from each of the first `count` of `images` to the nearest of
/// `others`, which may be shifted by up to one pixel in each direction. The outermost pixels of `images` are ignored,
/// because a shift leaves them without a counterpart; images smaller than 3 x 3 are not shifted. Ranks as above.
std::vector<double> nearest_shifted(const data::Dataset& images, std::int64_t count, const data::Dataset& others,
                                    runtime::Communicator& ranks);

/// The number of images that nearest_shifted can compare with `others` in a few seconds, at most 250.
std::int64_t rows_to_shift(const data::Dataset& others);

}  // namespace gan::eval
