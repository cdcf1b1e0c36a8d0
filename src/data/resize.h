#pragma once

#include <array>
#include <cstdint>
#include <string_view>
#include <vector>

namespace gan::data {

/// A part of a picture, in pixels from its upper left corner, with fractions, in f32 as in Pillow.
struct Box {
  float left = 0, top = 0, right = 0, bottom = 0;
};

/// The part `box` of a picture src [src_height, src_width, channels] resized to dst [height, width, channels], by the
/// Lanczos filter of three lobes, which is widened where pictures become smaller. The result equals Pillow's
/// resize(size, LANCZOS, box): weights have 22 bits, columns come first and are rounded to bytes before the rows, and
/// colours are multiplied by alpha (the last of 2 or 4 channels) before and divided by it after. All lengths are above
/// 0.
void resize_lanczos(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                    const Box& box, std::uint8_t* dst, std::int64_t height, std::int64_t width);

/// How a picture is fitted into a size of another aspect ratio.
enum class Fit {
  crop,     ///< takes the largest part of this ratio in its middle, as Pillow's ImageOps.fit
  pad,      ///< puts all of it in the middle and fills the rest, as Pillow's ImageOps.pad
  stretch,  ///< scales height and width by different factors
};

/// The Fit with this name. Throws a usage error that lists the names.
Fit fit_of(std::string_view name);

/// Fits a picture src [src_height, src_width, channels] into dst [height, width, channels]. `fill` is the colour around
/// a padded picture, one value for each channel.
void fit_picture(const std::uint8_t* src, std::int64_t src_height, std::int64_t src_width, std::int64_t channels,
                 Fit fit, const std::array<std::uint8_t, 4>& fill, std::uint8_t* dst, std::int64_t height,
                 std::int64_t width);

}  // namespace gan::data
