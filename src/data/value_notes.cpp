#include "data/value_notes.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>

#include "base/text.h"

namespace gan::data {

namespace {

constexpr int kNarrow = 64;  // images that use a smaller range of the 256 values get a note

/// Whether all pixels of an image [H, W, C] are equal.
bool is_plain(const std::uint8_t* image, std::size_t bytes, std::size_t channels) {
  return std::memcmp(image, image + channels, bytes - channels) == 0;
}

/// A note on the values of all images together; "" if they are plausible.
std::string note_on_range(const std::uint8_t* begin, std::size_t bytes) {
  constexpr std::size_t kBytesPerCheck = 4096;
  int low = 255, high = 0;
  bool between = false;  // whether a value lies between 2 and 254
  for (std::size_t first = 0; first < bytes && !(between && high - low >= kNarrow); first += kBytesPerCheck)
    for (const std::uint8_t *byte = begin + first, *end = begin + std::min(first + kBytesPerCheck, bytes); byte < end;
         ++byte) {
      low = std::min<int>(low, *byte);
      high = std::max<int>(high, *byte);
      between |= *byte >= 2 && *byte <= 254;
    }
  const auto has = [&](std::uint8_t value) { return std::memchr(begin, value, bytes) != nullptr; };
  if (low == high) return fmt::format("every byte is {}: there is nothing to see in these images", low);
  if (high == 1)
    return "every byte is 0 or 1, of 0 to 255: the images will look black; were values in [0, 1] written as bytes? "
           "multiply them by 255";
  if (!between && high == 255 && has(1))
    return "every byte is 0, 1 or 255; were values in [-1, 1] written as bytes? scale them to 0 to 255";
  if (between && high - low < kNarrow)
    return fmt::format("the bytes are {} to {}, of 0 to 255: the images have little contrast; were they scaled?", low,
                       high);
  return "";
}

}  // namespace

std::vector<std::string> value_notes(const Dataset& dataset) {
  if (!dataset.is_image()) return {};
  const auto size = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
  const auto channels = static_cast<std::size_t>(dataset.sample_shape[0]);
  std::vector<std::string> notes;
  if (const std::string note = note_on_range(dataset.pixels.get(), static_cast<std::size_t>(dataset.count()) * size);
      !note.empty())
    notes.push_back(note);
  if (size == channels) return notes;  // a single pixel always has one colour
  std::int64_t plain = 0;
  for (std::int64_t i = 0; i < dataset.count(); ++i)
    plain += is_plain(dataset.pixels.get() + static_cast<std::size_t>(i) * size, size, channels);
  if (plain > 0 && (notes.empty() || plain < dataset.count()))
    notes.push_back(fmt::format("{} of {} {} of one colour throughout",
                                base::grouped(static_cast<std::uint64_t>(plain)),
                                base::counted(dataset.count(), "image"), plain == 1 ? "is" : "are"));
  return notes;
}

}  // namespace gan::data
