#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "graph/type.h"

namespace gan::data {

/// The array of an IDX file (the format of MNIST's files).
struct IdxFile {
  graph::Shape shape;                     ///< [N, ...]; no length is 0
  int type = 8;                           ///< the format's code: 8 u8, 9 i8, 11 i16, 12 i32, 13 f32, 14 f64
  std::shared_ptr<std::uint8_t[]> bytes;  ///< the elements, row-major and big-endian
  std::string hash;                       ///< SHA-256 of the file's uncompressed content, in hexadecimal

  bool is_bytes() const { return type == 8; }
  /// Whether elements are integers.
  bool is_whole() const { return type < 13; }
  double value(std::size_t element) const;
};

/// Reads an IDX file of images, [N, H, W] or [N, H, W, C], plain or compressed with gzip, into memory from make_pixels
/// with `cache`. The size in the header is checked against the file's before memory is taken. Throws a data error that
/// says what was found and what was expected.
IdxFile read_idx_images(const std::string& path, const std::string& cache = "");

/// Reads an IDX file of labels or values, [N] or [N, K]. Errors as for read_idx_images.
IdxFile read_idx_labels(const std::string& path, const std::string& cache = "");

/// The number of axes in an IDX file's header; 0 if the file is of another format or cannot be read.
int idx_axes(const std::string& path);

}  // namespace gan::data
