#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "eval/reference.h"
#include "nn/scope.h"
#include "runtime/communicator.h"
#include "runtime/program.h"

namespace gan::eval {

/// Width of the classifier's last hidden layer, which is the embedding.
inline constexpr std::int64_t kFeatures = 128;

/// A small convolutional classifier of images. Images are compared in the space of its features, because those of a
/// network trained on photographs (Inception) mean little for data such as grey digits. The same network with other
/// outputs is a regressor, which reads numbers such as an angle.
struct Classifier {
  graph::Shape sample_shape;                     ///< [C, H, W]
  int classes = 0;                               ///< 0 for a regressor
  std::vector<data::NumberColumn> numbers = {};  ///< that a regressor reads, scaled by its training data
  bool exemplars = false;                        ///< its classes are single images, see train_exemplars
  std::string data_name, data_hash;              ///< of the training data
  runtime::State weights;                        ///< f32

  /// Logits of classes, or features of numbers.
  std::int64_t outputs() const;
};

/// The scope of a classifier's variables.
inline constexpr const char* kClassifierScope = "classifier";

/// What a classifier says of images, and the variables it needs.
struct ReadImages {
  graph::Tensor features;  ///< [N, kFeatures], the embedding
  graph::Tensor head;      ///< [N, outputs()]: logits of classes, or features of numbers
  std::vector<nn::Variable> variables;
};

/// Adds a classifier as it is after training to the graph of images x [N, H, W, C] in [-1, 1].
ReadImages build_classifier(graph::Graph& graph, const Classifier& classifier, graph::Tensor x);

/// Trains a classifier on labelled images (by their class column, see Reference): Adam, softmax cross entropy, three
/// epochs (more of small data) with a falling learning rate, random shifts of the images, running average of the
/// weights. Depends on data, seed, threads and kind of processor alone. Throws a usage error for data without labels,
/// with fewer than two classes, with a class that has no images, or that is not images.
Classifier train_classifier(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// Trains a regressor of the numeric columns of the images' condition: as a classifier, but for the mean squared error
/// of the columns' features ((sin, cos) of periodic ones), without dropout and shifts, which may change what the
/// numbers say. Columns that are constant are left out. Throws a usage error for data that is not images or has no
/// other numeric column.
Classifier train_regressor(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// Trains a classifier without labels, for its features: up to 256 different images, chosen at random, are a class
/// each, and are shown shifted by up to an eighth of their sides (exemplar networks, Dosovitskiy et al. 2014, arXiv
/// 1406.6909). Throws a usage error as why_no_exemplars says.
Classifier train_exemplars(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// The reason why train_exemplars cannot use this data, for the end of a message; "" if it can: images that are not too
/// large, ten or more that differ.
std::string why_no_exemplars(const data::Dataset& dataset);

/// The reason why no regressor can be trained on this data, for the end of a message; "" if one can.
std::string why_no_regressor(const data::Dataset& dataset);

/// The images in a batch, and the steps of an epoch and in total.
struct Schedule {
  std::int64_t batch, epoch_steps, steps;
};

/// The schedule of train_classifier for this data: three epochs in batches of up to 128, or fewer for large images; for
/// 100 classes or more at least six steps for each, up to 12,000; for small data about thirty epochs in smaller
/// batches.
Schedule classifier_schedule(const data::Dataset& dataset);

/// The reason why no classifier can be trained on this data, for the end of a message; "" if one can.
std::string why_no_classifier(const data::Dataset& dataset);

/// Writes a classifier's file (safetensors). Throws a data error if it cannot be written.
void save_classifier(const std::string& path, const Classifier& classifier);

/// Whether the metadata of a file say that it is a classifier's; false for a folder. Throws a data error for a file of
/// another format than safetensors.
bool is_classifier(const std::string& path);

/// Reads such a file. Throws a data error unless format and version fit and every tensor is present, f32 and finite.
Classifier load_classifier(const std::string& path);

/// The classifier of `reference.train`: read from the folder `cache` ("": data::default_cache()) if it is there and
/// valid, else trained and saved there. `log` gets the progress, also that a file is broken or cannot be written.
/// Throws as train_classifier does.
Classifier cached_classifier(const Reference& reference, const std::string& cache, const Log& log,
                             runtime::Communicator& ranks = runtime::one_rank());

/// The regressor of `reference.train`, in the same way.
Classifier cached_regressor(const Reference& reference, const std::string& cache, const Log& log,
                            runtime::Communicator& ranks = runtime::one_rank());

/// What reads samples.
struct Networks {
  std::optional<Classifier> embedding =
      {};  ///< a classifier, of labels or exemplars: its features are those to compare in
  std::optional<Classifier> regressor =
      {};  ///< of the condition's numbers; its features serve where there is no embedding
};

/// The cached networks that `reference.train` gives: the classifier of its labels and the regressor of its numbers, as
/// far as it has them; of images without either the classifier of exemplars. None for vectors. Rank 0 reads or trains
/// them, and all ranks get them.
Networks cached_networks(const Reference& reference, const std::string& cache, const Log& log,
                         runtime::Communicator& ranks = runtime::one_rank());

/// The features, classes and numbers that are read from samples.
struct Embedded {
  std::vector<float> features;        ///< [N, kFeatures]; of vectors [N, D]
  std::vector<std::int32_t> classes;  ///< [N]: the predicted class of each; empty from a regressor
  std::vector<float> numbers;  ///< [N, columns]: the predicted numbers, in the data's units; empty from a classifier
};

/// Runs a classifier or a regressor, in f32.
class Embedder {
 public:
  /// `backend`: null is the CPU.
  explicit Embedder(const Classifier& classifier, const runtime::Backend* backend = nullptr);
  /// The ranks take batches in turn, and all get the result. Throws a usage error for images of another shape.
  Embedded embed(const data::Dataset& images, runtime::Communicator& ranks = runtime::one_rank());

 private:
  graph::Shape sample_shape_;
  int classes_;
  std::vector<data::NumberColumn> numbers_;
  std::int64_t outputs_;
  runtime::State state_;
  runtime::Arena arena_;
  std::unique_ptr<runtime::Program> program_;
};

}  // namespace gan::eval
