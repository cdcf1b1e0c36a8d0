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

/// Samples and their labels, whole in memory, images as bytes and once only. Made by open_source.
struct Dataset {
  std::string source;         ///< as the user said it; may be a path
  std::string name;           ///< the reader's name ("mnist", "folder"): no path, may go into model files
  graph::Shape sample_shape;  ///< [C, H, W] of images, [D] of vectors
  ConditionSpec condition;    ///< of labelled data the label
  std::string hash;           ///< SHA-256 of samples and labels, in hexadecimal

  std::int64_t items = 0;
  std::unique_ptr<std::uint8_t[]> pixels;  ///< images: [N, H, W, C], as IDX files have them
  std::vector<float> points;               ///< vectors: [N, D]
  ConditionRows rows;                      ///< of the condition, one for each sample
  std::vector<float> modes;                ///< [M, D]: centres of the Gaussians that made-up points come from, or empty
  float mode_deviation = 0;                ///< their standard deviation

  std::int64_t count() const { return items; }
  bool is_image() const { return sample_shape.size() == 3; }
  /// Whether a picture can show samples: grey or coloured images, points of the plane.
  bool can_be_drawn() const { return is_image() ? sample_shape[0] == 1 || sample_shape[0] == 3 : sample_shape[0] == 2; }
  /// Of labelled data: how many classes there are, the class of each sample [N]; else 0 and nothing.
  int classes() const { return condition.classes(); }
  std::span<const std::int32_t> labels() const { return rows.labels(); }
  /// The class of sample `index` in [0, count()). Throws a run error if the data is unlabelled.
  int label(std::int64_t index) const;
  /// Writes sample `index` in [0, count()) in the training range to `dst`, which has room for sample_shape: images as
  /// byte / 127.5 - 1 in [-1, 1], [C, H, W]; vectors as they are.
  void copy_sample(std::int64_t index, float* dst) const;
  /// Asks for a sample's bytes, which copy_sample then need not wait for.
  void expect_sample(std::int64_t index) const;
};

/// The samples of these indices, each in [0, count()), with their labels, as a data set of its own; `hash` is that of
/// the whole.
Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices);

/// Takes over labels, counts the classes (largest label + 1, or the lines of classes.txt if these are more) and reads
/// their names from `folder`/classes.txt, one on each line, if that is there. Throws a data error if the file has too
/// few lines for the labels, an empty line or a name twice.
void set_labels(Dataset& dataset, std::vector<std::int32_t> labels, const std::string& folder);

}  // namespace gan::data
