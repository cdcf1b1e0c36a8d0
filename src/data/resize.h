#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gan::data {

/// A part of a picture, in pixels from its upper left corner; fractions of pixels count, in f32 as in Pillow.
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;
};

/// The part `box` of a picture src [src_height, src_width, channels] resized to dst [height, width, channels], by the
/// Lanczos filter of three lobes, which is widened where pictures become smaller. As Pillow's
/// resize(size, LANCZOS, box): weights of 22 bits, columns first, rounded to bytes before the rows; colours are
/// multiplied by alpha, the last of 2 or 4 channels, meanwhile. All lengths are above 0.
void resize_lanczos(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                    const Box& box, std::uint8_t* dst, std::int64_t height, std::int64_t width);

/// How a picture of another shape gets a size.
enum class Fit {
  crop,     ///< the largest part of this shape in its middle, as Pillow's ImageOps.fit
  pad,      ///< all of it in the middle, the rest filled, as Pillow's ImageOps.pad
  stretch,  ///< all of it, sides scaled each by its own
};

/// The fit of this name. Throws a usage error that lists the names.
Fit fit_of(std::string_view name);

/// A picture src [src_height, src_width, channels] as dst [height, width, channels]. `fill` is the colour around a
/// padded picture, one value for each channel.
void fit_picture(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                 Fit fit, const std::array<std::uint8_t, 4>& fill, std::uint8_t* dst, std::int64_t height,
                 std::int64_t width);

}  // namespace gan::data
