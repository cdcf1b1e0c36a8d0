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

/// The picture that the content of a PNG, JPEG or WebP file holds, recognized by its first bytes. Palettes become RGB
/// or RGBA; 16-bit values v become v * 255 / 65535, rounded; fewer bits are spread over 0 to 255. CMYK, which files
/// hold inverted as Adobe's programs write it, becomes RGB as Pillow's convert("RGB") makes it. The EXIF orientation is
/// applied; colour profiles and gamma are not. Throws a data error naming `name` if the content is no such picture,
/// damaged, cut short, an animated WebP (an animated PNG is its first picture), or larger than kMostPixels, which is
/// checked before memory is taken.
DecodedPicture decode_picture(std::string_view content, const std::string& name);

/// The same without the pixels, which are not checked.
DecodedPicture read_picture_header(std::string_view content, const std::string& name);

}  // namespace gan::io
