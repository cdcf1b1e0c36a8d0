#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "data/condition.h"
#include "graph/type.h"

namespace gan::data {

/// The units in which samples come and in which a sampler's output is written; kept in model files.
struct SampleUnits {
  double low = 0, high = 255;  ///< of images: the values that bytes 0 and 255, in training -1 and 1, stand for
  std::vector<NumberColumn> columns = {};  ///< of vectors: one for each element, or empty: unnamed and not scaled

  bool operator==(const SampleUnits&) const = default;
  /// Whether images come as bytes.
  bool bytes() const { return low == 0 && high == 255; }
  /// The range of images outside of training: "[-1, 1]" if they came as bytes, else in their units.
  std::string range() const;
  /// Brings samples of this shape, [N, ...sample] in the training range, to the data's units; images that came as bytes
  /// stay in [-1, 1].
  void undo(std::span<float> samples, const graph::Shape& sample) const;
};

/// Samples and their conditions, images as bytes, in memory or in a mapped file. Made by open_source.
struct Dataset {
  std::string source;         ///< as the user gave it; may be a path
  std::string name;           ///< the reader's name ("mnist", "folder"), which model files keep in place of the path
  graph::Shape sample_shape;  ///< [C, H, W] of images, [D] of vectors
  SampleUnits units;
  ConditionSpec condition;  ///< one column "label" for data with classes
  std::string hash;         ///< SHA-256 of samples and labels, in hexadecimal

  std::int64_t items = 0;
  std::shared_ptr<const std::uint8_t[]> pixels;  ///< images: [N, H, W, C], as IDX files have them; may be a mapped file
  bool streamed = false;                         ///< pixels are a mapped file that memory may not hold: see will_need
  std::vector<float> points;                     ///< vectors: [N, D], scaled as units.columns say
  ConditionRows rows;                            ///< the condition's values for each sample
  std::vector<float> modes;                      ///< [M, D]: centres of the Gaussians of synthetic points, else empty
  float mode_deviation = 0;                      ///< their standard deviation, and that of points around a circle
  float circle_radius = 0;  ///< points [2] around radius (cos a, sin a), a their numeric condition; 0: no such points
  std::vector<std::string> notes;  ///< what the user should know, a line each: what was left out, cut, scaled

  std::int64_t count() const { return items; }
  bool is_image() const { return sample_shape.size() == 3; }
  /// Whether samples can be drawn as a picture: images of up to 4 channels, or points [2].
  bool can_be_drawn() const { return is_image() ? sample_shape[0] <= 4 : sample_shape[0] == 2; }
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
  /// Has the system read these samples from the disk while the program goes on, if pixels are streamed; call it some
  /// batches ahead. Neighbours are read together.
  void will_need(std::span<const std::uint32_t> indices) const;
};

/// The samples of these indices, each in [0, count()), with their labels, as a data set of its own; `hash` is that of
/// the whole data set.
Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices);

/// Gives a data set the condition of another that its own is part of, such as a model's: columns of the same names, and
/// categories matched by name. Throws a data error if a column is missing or of another kind, or a category that occurs
/// is not in `condition`.
void align_condition(Dataset& dataset, const ConditionSpec& condition);

/// Gives a data set the units of another, such as a model's. Images: bytes that stand for other values are replaced by
/// those that stand for the same (rounded, and cut off at the ends of the range). Vectors: scalings are undone and
/// those of `units` applied. Throws a data error if vectors have other columns, or a value that a log scaling cannot
/// take.
void convert_units(Dataset& dataset, const SampleUnits& units);

/// Sets the labels, any integers. The classes are the labels that occur, in order; labels 0 to K - 1 without names stay
/// unnamed, others are named by their number, or by `folder`/classes.txt, one name on each line, if that is there: line
/// k is the name of label k, or of the k-th label that occurs if none is 0 and there are as many lines as such labels.
/// Throws a data error if the file has too few lines for the labels, an empty line or a name twice.
void set_labels(Dataset& dataset, std::span<const std::int32_t> labels, const std::string& folder);

/// The column of these class names, one for each sample: sorted, numbers by their value. Names 0 to K - 1 stay unnamed.
std::pair<ConditionColumn, std::vector<std::int32_t>> column_of_names(const std::string& name,
                                                                      std::span<const std::string> values);

}  // namespace gan::data
