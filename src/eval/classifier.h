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
/// outputs is a regressor, which predicts numbers such as an angle.
struct Classifier {
  graph::Shape sample_shape;                     ///< [C, H, W]
  int classes = 0;                               ///< 0 for a regressor
  std::vector<data::NumberColumn> numbers = {};  ///< the numbers that a regressor predicts, scaled by its training data
  bool exemplars = false;                        ///< its classes are single images, see train_exemplars
  std::string data_name, data_hash;              ///< name and hash of the training data
  runtime::State weights;                        ///< f32

  /// The number of outputs: one logit per class, or the features of all numbers.
  std::int64_t outputs() const;
};

/// The scope of a classifier's variables.
inline constexpr const char* kClassifierScope = "classifier";

/// The outputs of a classifier for images, and the variables it needs.
struct ReadImages {
  graph::Tensor features;  ///< [N, kFeatures], the embedding
  graph::Tensor head;      ///< [N, outputs()]: logits of classes, or features of numbers
  std::vector<nn::Variable> variables;
};

/// Adds a classifier as it is after training to the graph of images x [N, H, W, C] in [-1, 1].
ReadImages build_classifier(graph::Graph& graph, const Classifier& classifier, graph::Tensor x);

/// Trains a classifier on labelled images (by their class column, see Reference): Adam, softmax cross entropy, three
/// epochs (more of small data) with a falling learning rate, random shifts of the images, running average of the
/// weights. The result depends only on data, seed, number of threads and kind of processor. Throws a usage error for
/// data without labels, with fewer than two classes, with a class that has no images, or that is not images.
Classifier train_classifier(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// Trains a regressor of the numeric columns of the images' condition. It is trained like a classifier, but by the mean
/// squared error of the columns' features ((sin, cos) of periodic ones), and without dropout and shifts, since a shift
/// may change the numbers. Constant columns are left out. Throws a usage error for data that is not images or whose
/// condition has no numeric column that varies.
Classifier train_regressor(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// Trains a classifier without labels, for its features: each of up to 256 different images, chosen at random, is a
/// class of its own, augmented by shifts of up to an eighth of its sides (exemplar networks, Dosovitskiy et al. 2014,
/// arXiv 1406.6909). Throws a usage error with the reason of why_no_exemplars.
Classifier train_exemplars(const data::Dataset& dataset, std::uint64_t seed, const Log& log);

/// The reason why train_exemplars cannot use this data, for the end of a message; "" if it can. It needs ten or more
/// different images that are not too large.
std::string why_no_exemplars(const data::Dataset& dataset);

/// The reason why no regressor can be trained on this data, for the end of a message; "" if one can.
std::string why_no_regressor(const data::Dataset& dataset);

/// The number of images in a batch, of steps in an epoch, and of steps in total.
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

/// Whether a file holds a classifier, by its metadata; false for a folder. Throws a data error for a file of another
/// format than safetensors.
bool is_classifier(const std::string& path);

/// Reads a classifier's file. Throws a data error unless format and version fit and every tensor is present, f32 and
/// finite.
Classifier load_classifier(const std::string& path);

/// The classifier of `reference.train`: read from the folder `cache` ("": data::default_cache()) if it is there and
/// valid, else trained and saved there. `log` gets the progress, and messages if a file is broken or cannot be written.
/// Throws as train_classifier does.
Classifier cached_classifier(const Reference& reference, const std::string& cache, const Log& log,
                             runtime::Communicator& ranks = runtime::one_rank());

/// The regressor of `reference.train`, read or trained in the same way.
Classifier cached_regressor(const Reference& reference, const std::string& cache, const Log& log,
                            runtime::Communicator& ranks = runtime::one_rank());

/// The networks that predict the condition of samples and give their features.
struct Networks {
  /// A classifier of labels or exemplars, in whose features samples are compared.
  std::optional<Classifier> embedding = {};
  /// A regressor of the condition's numbers. Its features are used if there is no `embedding`.
  std::optional<Classifier> regressor = {};
};

/// The networks for `reference.train`, from the cache or trained: a classifier if it has labels, a regressor if it has
/// numbers, a classifier of exemplars for images with neither; none for vectors. Rank 0 reads or trains them and sends
/// them to all ranks.
Networks cached_networks(const Reference& reference, const std::string& cache, const Log& log,
                         runtime::Communicator& ranks = runtime::one_rank());

/// The features of samples, and the classes and numbers predicted from them.
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
