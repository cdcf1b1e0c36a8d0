#include "io/png.h"

#include <png.h>

#include <algorithm>
#include <cmath>
#include <cstddef>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"

namespace gan::io {

namespace {

constexpr std::int64_t kMaxSide = 1'000'000;       // libpng's own limit
constexpr std::int64_t kMaxBytes = 1'000'000'000;  // of one picture

Picture blank(std::int64_t channels, std::int64_t height, std::int64_t width, std::uint8_t value) {
  if (channels != 1 && channels != 3)
    base::fail_usage("a picture needs 1 channel (grey) or 3 (RGB), the images have {}; write a .npy file instead",
                     channels);
  if (height < 1 || width < 1 || height > kMaxSide || width > kMaxSide || channels * height * width > kMaxBytes)
    base::fail_usage("a picture of {} x {} pixels cannot be written as PNG", width, height);
  return {static_cast<int>(channels), static_cast<int>(height), static_cast<int>(width),
          std::vector<std::uint8_t>(static_cast<std::size_t>(channels * height * width), value)};
}

// Draws an image of [C, H, W] with its upper left corner at (top, left) of a picture that has room for it.
void draw(Picture& picture, const float* image, std::int64_t height, std::int64_t width, std::int64_t top,
          std::int64_t left) {
  for (std::int64_t c = 0; c < picture.channels; ++c)
    for (std::int64_t y = 0; y < height; ++y) {
      const float* src = image + (c * height + y) * width;
      std::transform(src, src + width, picture.bytes.begin() + (c * picture.height + top + y) * picture.width + left,
                     to_byte);
    }
}

// Half the side of the square that a scatter plot shows.
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

Picture make_grid(std::span<const float> images, const graph::Shape& shape, int columns, int pad) {
  if (shape.size() != 4 || static_cast<std::int64_t>(images.size()) != graph::element_count(shape) || images.empty())
    base::fail_usage("{} of shape {} are not images of [count, channels, height, width]",
                     base::counted(static_cast<std::int64_t>(images.size()), "value"), graph::to_string(shape));
  if (columns < 1 || pad < 0)
    base::fail_usage("a grid of {} with a pad of {} cannot be drawn", base::counted(columns, "column"), pad);
  const std::int64_t count = shape[0], channels = shape[1], height = shape[2], width = shape[3];
  const std::int64_t across = std::min<std::int64_t>(columns, count);
  const std::int64_t down = (count + across - 1) / across;
  if (down > kMaxSide || height > kMaxSide || width > kMaxSide)
    base::fail_usage("{} images of {} x {} pixels are too many for one picture", count, width, height);
  Picture picture = blank(channels, down * (height + pad) + pad, across * (width + pad) + pad, 0);
  for (std::int64_t i = 0; i < count; ++i)
    draw(picture, images.data() + i * channels * height * width, height, width, pad + i / across * (height + pad),
         pad + i % across * (width + pad));
  return picture;
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
    // A dot is 2 x 2 pixels; at the right and lower edge it keeps inside.
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

void write_png(const std::string& path, const Picture& picture) {
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
  constexpr png_uint_32 kFormats[] = {PNG_FORMAT_GRAY, PNG_FORMAT_GA, PNG_FORMAT_RGB, PNG_FORMAT_RGBA};
  image.format = kFormats[channels - 1];
  png_alloc_size_t encoded_bytes = PNG_IMAGE_PNG_SIZE_MAX(image);
  std::string encoded(encoded_bytes, '\0');
  if (!png_image_write_to_memory(&image, encoded.data(), &encoded_bytes, 0, interleaved.data(), 0, nullptr))
    base::fail_data("{}: the picture cannot be encoded: {}", path, image.message);
  base::write_file(path, std::string_view(encoded).substr(0, encoded_bytes), base::Durability::unsynced);
}

void write_grid(const std::string& path, std::span<const float> images, const graph::Shape& shape, int columns,
                int pad) {
  write_png(path, make_grid(images, shape, columns, pad));
}

}  // namespace gan::io
