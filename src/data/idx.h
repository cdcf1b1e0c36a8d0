#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "graph/type.h"

namespace gan::data {

/// The images of an IDX file (the format of MNIST's files) as unsigned bytes.
struct IdxFile {
  graph::Shape shape;                     ///< [N, H, W] or [N, H, W, C]; no length is 0
  std::unique_ptr<std::uint8_t[]> bytes;  ///< the elements, row-major
  std::string hash;                       ///< SHA-256 of the file's content, not compressed, in hexadecimal
};

/// Reads an IDX file of images, plain or compressed with gzip, holding its bytes once. The announced size is checked
/// against the file's before memory is taken. Throws a data error that says what was found and what was expected.
IdxFile read_idx_images(const std::string& path);

/// The labels of an IDX file.
struct IdxLabels {
  std::vector<std::int32_t> values;  ///< [N], each in [0, kMostClasses)
  std::string hash;                  ///< as of IdxFile
};
inline constexpr std::int64_t kMostClasses = 1'000'000;

/// Reads an IDX file of labels, which may be of any integer type. Errors as for read_idx_images.
IdxLabels read_idx_labels(const std::string& path);

/// The number of axes in an IDX file's header; 0 if the file is of another format or cannot be read.
int idx_axes(const std::string& path);

}  // namespace gan::data
