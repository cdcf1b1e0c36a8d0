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
  double low = 0, high = 255;  ///< of images: the values of the bytes 0 and 255, which are -1 and 1 in training
  std::vector<NumberColumn> columns = {};  ///< of vectors: one for each element; empty: no names, no scaling

  bool operator==(const SampleUnits&) const = default;
  /// Whether the images of the data are bytes.
  bool bytes() const { return low == 0 && high == 255; }
  /// The range of images outside of training: "[-1, 1]" if they came as bytes, else in their units.
  std::string range() const;
  /// Converts samples [N, ...sample] from the training range to the data's units, in place; images of bytes stay in
  /// [-1, 1].
  void undo(std::span<float> samples, const graph::Shape& sample) const;
};

/// Samples and their conditions, images as bytes, in memory or in a mapped file. Made by open_source.
struct Dataset {
  std::string source;         ///< as given by the user; may be a path
  std::string name;           ///< the reader's name ("mnist", "pictures"), which model files keep in place of the path
  graph::Shape sample_shape;  ///< [C, H, W] of images, [D] of vectors
  SampleUnits units;
  ConditionSpec condition;  ///< one column "label" for data with classes
  std::string hash;         ///< SHA-256 of samples and labels, in hexadecimal

  std::int64_t items = 0;
  std::shared_ptr<const std::uint8_t[]> pixels;  ///< images: [N, H, W, C], as IDX files have them; may be a mapped file
  bool streamed = false;      ///< pixels are a mapped file that may not fit into memory: see will_need
  std::vector<float> points;  ///< vectors: [N, D], scaled by units.columns
  ConditionRows rows;         ///< the condition's values for each sample
  std::vector<float> modes;   ///< [M, D]: centres of the Gaussians of synthetic points, else empty
  float mode_deviation = 0;   ///< standard deviation of those Gaussians, or of points around a circle
  /// The radius of the circle around which synthetic points [2] lie, at angles that are their condition; else 0.
  float circle_radius = 0;
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
  /// Loads a sample's bytes into the processor's cache ahead of copy_sample.
  void prefetch_sample(std::int64_t index) const;
  /// If pixels are streamed, tells the system to read these samples from disk in the background; to be called some
  /// batches ahead. Adjacent samples are read together.
  void will_need(std::span<const std::uint32_t> indices) const;
};

/// A data set of the samples of these indices, each in [0, count()), with their labels; its `hash` stays that of the
/// whole data set.
Dataset subset(const Dataset& dataset, std::span<const std::uint32_t> indices);

/// Converts a data set to a condition such as a model's, whose columns it must have: columns and categories are matched
/// by name. Throws a data error if a column is missing or of another kind, or a category that occurs is not in
/// `condition`.
void align_condition(Dataset& dataset, const ConditionSpec& condition);

/// Converts a data set to other units, such as a model's. Images: each byte is replaced by the byte of the same value
/// in the new units, rounded and clamped. Vectors: scalings are undone and those of `units` applied. Throws a data
/// error if vectors have other columns, or a value whose logarithm cannot be taken.
void convert_units(Dataset& dataset, const SampleUnits& units);

/// Sets the labels, any integers. The classes are the labels that occur, in ascending order. Their names are the lines
/// of `folder`/classes.txt if that exists: line k for label k, or for the k-th label that occurs if none is 0 and there
/// are as many lines as labels. Without that file, labels 0 to K - 1 have no names, others have their numbers as names.
/// Throws a data error if the file has too few lines for the labels, an empty line or a name twice.
void set_labels(Dataset& dataset, std::span<const std::int32_t> labels, const std::string& folder);

/// The column for class names, one per sample, and its values. The classes are the names that occur, sorted, numbers by
/// value. If they are 0 to K - 1, the column has no names.
std::pair<ConditionColumn, std::vector<std::int32_t>> column_of_names(const std::string& name,
                                                                      std::span<const std::string> values);

}  // namespace gan::data
