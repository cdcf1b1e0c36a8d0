#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/file.h"
#include "graph/type.h"

namespace gan::io {

/// A picture of 1 channel (grey), 2 (grey and alpha), 3 (RGB) or 4 (RGBA), 8 bits a value.
struct Picture {
  int channels = 1;
  int height = 0;
  int width = 0;
  std::vector<std::uint8_t> bytes;  ///< [C, H, W]
};

/// Converts a value in the training range [-1, 1] to a byte: (value + 1) * 127.5, rounded and clamped; 0 for NaN.
std::uint8_t to_byte(float value);

/// Converts an image [C, H, W], C 1 to 4, values in [-1, 1], to a picture. Throws a usage error for other shapes.
Picture to_picture(std::span<const float> image, const graph::Shape& shape);

/// A picture of a grid of images, `columns` in a row, with `pad` pixels of zeros (black, transparent if there is alpha)
/// around each.
class Grid {
 public:
  /// A grid for `count` images of shape [C, H, W], C 1 to 4. Throws a usage error if it would be too large for PNG.
  Grid(std::int64_t count, const graph::Shape& image, std::int64_t columns, int pad = 2);
  /// Draws the next images [n, C, H, W], values in [-1, 1]. Throws a usage error if there are more than `count`.
  void draw(std::span<const float> images);
  const Picture& picture() const { return picture_; }

 private:
  graph::Shape image_;
  std::int64_t count_, columns_, pad_, drawn_ = 0;
  Picture picture_;
};

/// The picture of a grid of images [N, C, H, W].
Picture make_grid(std::span<const float> images, const graph::Shape& shape, int columns, int pad = 2);

/// Points of shape [N, 2] as black dots on white, `size` x `size` pixels, y upwards. The picture shows the square
/// [-range, range]^2; range 0 takes the smallest of 1, 1.5, 2, 3, 5, 7 times a power of ten that shows every point.
/// Throws a usage error if the shape does not fit.
Picture make_scatter(std::span<const float> points, const graph::Shape& shape, int size = 256, float range = 0);

/// Writes a PNG file atomically; equal pictures give equal bytes. Throws a usage error if the picture is empty or has
/// more than 4 channels, a data error if the file cannot be written.
void write_png(const base::Destination& to, const Picture& picture);

/// Writes an animated PNG (https://wiki.mozilla.org/APNG_Specification) that loops forever: pictures of one size, each
/// shown for 1 / `rate` seconds, rate 1 to 1000. Programs without support for animations show the first. Throws as
/// write_png.
void write_animation(const base::Destination& to, std::span<const Picture> pictures, int rate);

/// Writes the picture of make_grid.
void write_grid(const base::Destination& to, std::span<const float> images, const graph::Shape& shape, int columns,
                int pad = 2);

}  // namespace gan::io
