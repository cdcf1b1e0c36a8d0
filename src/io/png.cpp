#include "io/png.h"

#include <png.h>
#include <zlib.h>

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <string_view>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::io {

namespace {

constexpr std::int64_t kMaxSide = 1'000'000;       // libpng's own limit
constexpr std::int64_t kMaxBytes = 1'000'000'000;  // per picture

Picture blank(std::int64_t channels, std::int64_t height, std::int64_t width, std::uint8_t value) {
  if (channels < 1 || channels > 4)
    base::fail_usage(
        "a picture has 1 channel (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA), the images have {} channels; write a "
        ".npy file instead",
        channels);
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide || channels * height * width > kMaxBytes)
    base::fail_usage("a picture of {} x {} pixels cannot be written as PNG", width, height);
  return {static_cast<int>(channels), static_cast<int>(height), static_cast<int>(width),
          std::vector<std::uint8_t>(static_cast<std::size_t>(channels * height * width), value)};
}

// Draws an image [C, H, W] into a picture, with its upper left corner at (top, left). It must fit.
void draw(Picture& picture, const float* image, std::int64_t height, std::int64_t width, std::int64_t top,
          std::int64_t left) {
  for (std::int64_t c = 0; c < picture.channels; ++c)
    for (std::int64_t y = 0; y < height; ++y) {
      const float* src = image + (c * height + y) * width;
      std::transform(src, src + width, picture.bytes.begin() + (c * picture.height + top + y) * picture.width + left,
                     to_byte);
    }
}

// The range of a scatter plot that shows all points, see make_scatter.
float round_range(std::span<const float> points) {
  float largest = 0;
  for (const float value : points)
    if (std::isfinite(value)) largest = std::max(largest, std::abs(value));
  if (largest == 0) return 1;
  const float power = std::pow(10.0f, std::floor(std::log10(largest)));
  for (const float factor : {1.0f, 1.5f, 2.0f, 3.0f, 5.0f, 7.0f})
    if (factor * power >= largest) return factor * power;
  return 10 * power;
}

}  // namespace

std::uint8_t to_byte(float value) {
  if (!(value > -1)) return 0;  // NaN too
  return static_cast<std::uint8_t>(std::lround((std::min(value, 1.0f) + 1) * 127.5f));
}

Picture to_picture(std::span<const float> image, const graph::Shape& shape) {
  if (shape.size() != 3 || static_cast<std::int64_t>(image.size()) != graph::element_count(shape))
    base::fail_usage("{} of shape {} are not an image of [channels, height, width]",
                     base::counted(static_cast<std::int64_t>(image.size()), "value"), graph::to_string(shape));
  Picture picture = blank(shape[0], shape[1], shape[2], 0);
  draw(picture, image.data(), shape[1], shape[2], 0, 0);
  return picture;
}

Grid::Grid(std::int64_t count, const graph::Shape& image, std::int64_t columns, int pad)
    : image_(image), count_(count), columns_(std::min(columns, count)), pad_(pad) {
  if (image.size() != 3 || count < 1)
    base::fail_usage("{} of shape {} are not images of [channels, height, width]", base::counted(count, "sample"),
                     graph::to_string(image));
  if (columns < 1 || pad < 0)
    base::fail_usage("a grid of {} with a pad of {} cannot be drawn", base::counted(columns, "column"), pad);
  const std::int64_t down = (count + columns_ - 1) / columns_, height = image[1], width = image[2];
  if (down > kMaxSide || columns_ > kMaxSide || height > kMaxSide || width > kMaxSide)
    base::fail_usage("{} images of {} x {} pixels are too many for one picture", count, width, height);
  picture_ = blank(image[0], down * (height + pad) + pad, columns_ * (width + pad) + pad, 0);
}

void Grid::draw(std::span<const float> images) {
  const std::int64_t size = graph::element_count(image_), height = image_[1], width = image_[2];
  const auto values = static_cast<std::int64_t>(images.size());
  if (values % size != 0 || values / size > count_ - drawn_)
    base::fail_usage("{} for a grid with room for {} of {}", base::counted(values, "value"), count_ - drawn_,
                     graph::to_string(image_));
  for (const float* image = images.data(); image != images.data() + values; image += size, ++drawn_)
    gan::io::draw(picture_, image, height, width, pad_ + drawn_ / columns_ * (height + pad_),
                  pad_ + drawn_ % columns_ * (width + pad_));
}

Picture make_grid(std::span<const float> images, const graph::Shape& shape, int columns, int pad) {
  if (shape.size() != 4 || static_cast<std::int64_t>(images.size()) != graph::element_count(shape) || images.empty())
    base::fail_usage("{} of shape {} are not images of [count, channels, height, width]",
                     base::counted(static_cast<std::int64_t>(images.size()), "value"), graph::to_string(shape));
  Grid grid(shape[0], {shape.begin() + 1, shape.end()}, columns, pad);
  grid.draw(images);
  return grid.picture();
}

Picture make_scatter(std::span<const float> points, const graph::Shape& shape, int size, float range) {
  if (shape.size() != 2 || shape[1] != 2 || static_cast<std::int64_t>(points.size()) != graph::element_count(shape))
    base::fail_usage("a picture shows points of [count, 2], found {}; write a .npy file instead",
                     graph::to_string(shape));
  if (range <= 0) range = round_range(points);
  Picture picture = blank(1, size, size, 255);
  const float scale = static_cast<float>(size) / (2 * range);
  for (std::size_t i = 0; i + 1 < points.size(); i += 2) {
    const float x = (range + points[i]) * scale, y = (range - points[i + 1]) * scale;
    if (!(x >= 0 && y >= 0 && x <= static_cast<float>(size) && y <= static_cast<float>(size))) continue;
    // A dot has 2 x 2 pixels and is moved inside at the right and lower edge.
    const int left = std::clamp(static_cast<int>(x - 0.5f), 0, std::max(size - 2, 0));
    const int top = std::clamp(static_cast<int>(y - 0.5f), 0, std::max(size - 2, 0));
    for (int row = top; row < std::min(top + 2, size); ++row)
      for (int column = left; column < std::min(left + 2, size); ++column)
        picture
            .bytes[static_cast<std::size_t>(row) * static_cast<std::size_t>(size) + static_cast<std::size_t>(column)] =
            0;
  }
  return picture;
}

namespace {

/// Encodes a picture as a PNG file. In memory, as for answers of the server, compression is fast: it takes half the
/// time and gives a tenth more bytes.
std::string encode(const base::Destination& to, const Picture& picture) {
  const std::string& path = to.name();
  const std::size_t channels = static_cast<std::size_t>(std::max(picture.channels, 0));
  const std::size_t pixels =
      static_cast<std::size_t>(std::max(picture.height, 0)) * static_cast<std::size_t>(std::max(picture.width, 0));
  if (channels < 1 || channels > 4 || pixels == 0 || picture.bytes.size() != channels * pixels)
    base::fail_usage("{}: {} are not a picture of {}, {} x {} pixels", path,
                     base::counted(static_cast<std::int64_t>(picture.bytes.size()), "byte"),
                     base::counted(picture.channels, "channel"), picture.width, picture.height);
  std::vector<std::uint8_t> interleaved(picture.bytes.size());  // [H, W, C]
  for (std::size_t c = 0; c < channels; ++c)
    for (std::size_t i = 0; i < pixels; ++i) interleaved[i * channels + c] = picture.bytes[c * pixels + i];

  png_image image{};
  image.version = PNG_IMAGE_VERSION;
  image.width = static_cast<png_uint_32>(picture.width);
  image.height = static_cast<png_uint_32>(picture.height);
  constexpr png_uint_32 kPngFormats[] = {PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
  image.format = kPngFormats[channels - 1];
  if (to.memory()) image.flags = PNG_IMAGE_FLAG_FAST;
  png_alloc_size_t encoded_bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string encoded(encoded_bytes, '\0');
  if (!png_image_write_to_memory(&image, encoded.data(), &encoded_bytes, 0, interleaved.data(), 0, nullptr))
    base::fail_data("{}: the picture cannot be encoded: {}", path, image.message);
  encoded.resize(encoded_bytes);
  return encoded;
}

/// The lower `count` bytes of a number, the most significant first.
std::string bytes_of(std::uint32_t number, int count = 4) {
  std::string text;
  for (int i = count; i-- > 0;) text += static_cast<char>(number >> (8 * i) & 0xFF);
  return text;
}

/// A chunk of a PNG file: length, type, data and checksum.
std::string chunk(std::string_view type, std::string_view data) {
  const std::string body = std::string(type) + std::string(data);
  const uLong sum = crc32(0, reinterpret_cast<const Bytef*>(body.data()), static_cast<uInt>(body.size()));
  return bytes_of(static_cast<std::uint32_t>(data.size())) + body + bytes_of(static_cast<std::uint32_t>(sum));
}

}  // namespace

void write_png(const base::Destination& to, const Picture& picture) {
  base::write_file(to, encode(to, picture), base::Durability::unsynced);
}

void write_animation(const base::Destination& to, std::span<const Picture> pictures, int rate) {
  const std::string& path = to.name();
  constexpr std::size_t kSignature = 8, kFrame = 12;  // bytes in front of the chunks, and of a chunk without its data
  if (pictures.empty()) base::fail_usage("{}: an animation needs a picture", path);
  std::string file;
  std::uint32_t sequence = 0;
  for (const Picture& picture : pictures) {
    if (picture.width != pictures[0].width || picture.height != pictures[0].height ||
        picture.channels != pictures[0].channels)
      base::fail_usage("{}: the pictures of an animation differ in size", path);
    const std::string encoded = encode(to, picture);
    const bool first = file.empty();
    if (first) file = encoded.substr(0, kSignature);
    bool started = false;
    for (std::string_view rest = std::string_view(encoded).substr(kSignature); rest.size() >= kFrame;) {
      const std::string_view whole = rest.substr(0, base::big_endian(rest.substr(0, 4)) + kFrame);
      const std::string_view type = whole.substr(4, 4), data = whole.substr(8, whole.size() - kFrame);
      rest.remove_prefix(whole.size());
      if (type == "IEND") break;
      if (type != "IDAT") {
        if (first) file += whole;
        if (first && type == "IHDR")
          file += chunk("acTL", bytes_of(static_cast<std::uint32_t>(pictures.size())) + bytes_of(0));
        continue;
      }
      if (!started)
        file += chunk("fcTL", bytes_of(sequence++) + bytes_of(static_cast<std::uint32_t>(picture.width)) +
                                  bytes_of(static_cast<std::uint32_t>(picture.height)) + bytes_of(0) + bytes_of(0) +
                                  bytes_of(1, 2) + bytes_of(static_cast<std::uint32_t>(rate), 2) + bytes_of(0, 2));
      started = true;
      file += first ? std::string(whole) : chunk("fdAT", bytes_of(sequence++) + std::string(data));
    }
  }
  base::write_file(to, file + chunk("IEND", ""), base::Durability::unsynced);
}

void write_grid(const base::Destination& to, std::span<const float> images, const graph::Shape& shape, int columns,
                int pad) {
  write_png(to, make_grid(images, shape, columns, pad));
}

}  // namespace gan::io
