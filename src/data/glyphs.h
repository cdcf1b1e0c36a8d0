#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "data/dataset.h"

namespace gan::data {

/// Which characters are drawn from which fonts.
struct GlyphOptions {
  std::string charset = "digits";  ///< digits, latin or gb2312-1
  std::vector<std::string> fonts;  ///< font files, or folders that are searched for .ttf, .otf and .ttc
  std::int64_t characters = 0;     ///< uses the first so many characters of the set; 0: all
  std::int64_t count = 20;         ///< pictures of each character
  std::int64_t size = 28;          ///< height and width in pixels, 16 to 128
  std::uint64_t seed = 0;          ///< for the random jitter
  std::function<void(const std::string&)> progress = {};  ///< one line now and then; may be empty
};

/// The characters of a set as UTF-8, in the order of their codes: 10 digits, 52 Latin letters, or the 3,755 characters
/// of level 1 of GB 2312, by the system's iconv. Throws a usage error for another name, a data error if the system's
/// iconv does not know GB 2312.
std::vector<std::string> charset_characters(std::string_view charset);

/// Draws pictures of characters [1, size, size], white on black. The fonts take turns. Each picture is rotated by up to
/// 5 degrees, slanted and scaled by up to 8%, and shifted by up to 4% of its size. The condition is the column "label",
/// the character, and, if several fonts are used, "font". Characters that no font has are left out with a note. Throws
/// a usage error for invalid options, a data error if no font can be used, and if FreeType, which is loaded at the
/// first call, is not installed.
Dataset make_glyphs(const GlyphOptions& options);

}  // namespace gan::data
