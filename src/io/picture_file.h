#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace gan::io {

/// A picture read from a file, 8 bits a value.
struct DecodedPicture {
  std::int64_t height = 0, width = 0;
  std::int64_t channels = 0;              ///< 1 grey, 2 grey and alpha, 3 RGB, 4 RGBA
  std::unique_ptr<std::uint8_t[]> bytes;  ///< [H, W, C]; null if only the header was read
};

/// The largest picture that is read, in pixels: 16,384 x 16,384.
inline constexpr std::int64_t kMostPixels = std::int64_t{1} << 28;

/// Whether a file of this name should hold a picture: it ends in .png, .jpg, .jpeg, .jpe, .jfif or .webp, in any case.
bool is_picture_name(std::string_view name);

/// Decodes the content of a PNG, JPEG or WebP file, recognized by its first bytes. Palettes become RGB or RGBA; 16-bit
/// values v become v * 255 / 65535, rounded; values of fewer bits are scaled to 0 to 255. CMYK, which is inverted in
/// files as Adobe's programs write them, becomes RGB as by Pillow's convert("RGB"). The EXIF orientation is applied;
/// colour profiles and gamma are not. Of an animated PNG the first picture is decoded. Throws a data error naming
/// `name` if the content is no such picture, damaged, cut short, an animated WebP, or larger than kMostPixels, which is
/// checked before memory is taken.
DecodedPicture decode_picture(std::string_view content, const std::string& name);

/// Reads the header only; `bytes` is null, and damaged pixels are no error.
DecodedPicture read_picture_header(std::string_view content, const std::string& name);

}  // namespace gan::io
