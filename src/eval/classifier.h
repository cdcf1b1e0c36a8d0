#pragma once

#include <memory>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "eval/reference.h"
#include "runtime/program.h"

namespace gan::eval {

/// Width of the classifier's last hidden layer, which is the embedding.
inline constexpr std::int64_t kFeatures = 128;

/// A small convolutional network that tells the classes of images apart. Its features are the space in which images
/// are compared: distances there mean something for the data at hand, for grey digits more than those of a network
/// trained on photographs.
struct Classifier {
  graph::Shape sample_shape;  ///< [C, H, W]
  int classes = 0;
  std::string data_name, data_hash;  ///< of the training data
  runtime::State weights;            ///< f32
};

/// SHA-256 of the weights, in hexadecimal: scores compare only under one embedding.
std::string hash_of(const Classifier& classifier);

/// Trains a classifier on labelled images: Adam, softmax cross entropy, three epochs (more of small data) with
/// a falling learning rate, random shifts of the images, running average of the weights. Depends on data, seed, threads
/// and kind of processor alone. Throws a usage error for data without labels, with fewer than two classes, with a class
/// that has no images, or that is no images.
Classifier train_classifier(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// Images in a step of training, steps of an epoch and of all.
struct Schedule {
  std::int64_t batch, epoch_steps, steps;
};

/// How train_classifier trains on this many images of this shape: three epochs in batches of up to 128, fewer of large
/// images; small data some thirty epochs in smaller batches, so that it takes less time, too.
Schedule classifier_schedule(const data::Dataset& dataset);

/// Why no classifier can be trained on this data, for the end of a message; "" if one can.
std::string why_no_classifier(const data::Dataset& dataset);

/// Writes a classifier's file (safetensors). Throws a data error if it cannot be written.
void save_classifier(const std::string& path, const Classifier& classifier);

/// Reads it and checks format, version, that every tensor is there in its shape, f32 and finite. Throws a data error.
Classifier load_classifier(const std::string& path);

/// The classifier of `reference.train`: from the folder `cache` ("": data::default_cache()) if a whole one is there,
/// else trained, and kept there. What happens is told to `log`: also that a file there is broken and is made anew, or
/// that the folder cannot be written. Throws as train_classifier does.
Classifier cached_classifier(const Reference& reference, const std::string& cache, const Log& log);

/// What a classifier makes of images.
struct Embedded {
  std::vector<float> features;        ///< [N, kFeatures]
  std::vector<std::int32_t> classes;  ///< [N]: the class each is read as
};

/// Runs a classifier, in f32.
class Embedder {
 public:
  explicit Embedder(const Classifier& classifier);
  /// Throws a usage error for images of another shape.
  Embedded embed(const data::Dataset& images);

 private:
  graph::Shape sample_shape_;
  int classes_;
  runtime::State state_;
  runtime::Arena arena_;
  std::unique_ptr<runtime::Program> program_;
};

}  // namespace gan::eval
