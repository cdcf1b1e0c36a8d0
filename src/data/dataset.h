#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "data/condition.h"
#include "graph/type.h"

namespace gan::data {

/// Samples and their labels, all in memory, images as bytes. Made by open_source.
struct Dataset {
  std::string source;         ///< as the user gave it; may be a path
  std::string name;           ///< the reader's name ("mnist", "folder"), which model files keep in place of the path
  graph::Shape sample_shape;  ///< [C, H, W] of images, [D] of vectors
  ConditionSpec condition;    ///< one column "label" for labelled data
  std::string hash;           ///< SHA-256 of samples and labels, in hexadecimal

  std::int64_t items = 0;
  std::unique_ptr<std::uint8_t[]> pixels;  ///< images: [N, H, W, C], as IDX files have them
  std::vector<float> points;               ///< vectors: [N, D]
  ConditionRows rows;                      ///< the condition's values for each sample
  std::vector<float> modes;                ///< [M, D]: centres of the Gaussians of synthetic points, else empty
  float mode_deviation = 0;                ///< their standard deviation

  std::int64_t count() const { return items; }
  bool is_image() const { return sample_shape.size() == 3; }
  /// Whether samples can be drawn as a picture: grey or RGB images, or points [2].
  bool can_be_drawn() const { return is_image() ? sample_shape[0] == 1 || sample_shape[0] == 3 : sample_shape[0] == 2; }
  /// The number of classes, and the class of each sample [N]; 0 and empty if the data is unlabelled.
  int classes() const { return condition.classes(); }
  std::span<const std::int32_t> labels() const { return rows.labels(); }
  /// The class of sample `index` in [0, count()). Throws a run error if the data is unlabelled.
  int label(std::int64_t index) const;
  /// Writes sample `index` in [0, count()) in the training range to `dst`, which has room for sample_shape: images as
  /// byte / 127.5 - 1 in [-1, 1], [C, H, W]; vectors unchanged.
  void copy_sample(std::int64_t index, float* dst) const;
  /// Loads a sample's bytes into the cache ahead of copy_sample.
  void prefetch_sample(std::int64_t index) const;
};

/// The samples of these indices, each in [0, count()), with their labels, as a data set of its own; `hash` is that of
/// the whole data set.
Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices);

/// Sets the labels, counts the classes (largest label + 1, or the lines of classes.txt if these are more) and reads
/// their names from `folder`/classes.txt, one on each line, if that is there. Throws a data error if the file has too
/// few lines for the labels, an empty line or a name twice.
void set_labels(Dataset& dataset, std::vector<std::int32_t> labels, const std::string& folder);

}  // namespace gan::data
