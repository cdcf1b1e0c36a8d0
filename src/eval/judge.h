#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

#include "eval/classifier.h"
#include "eval/neighbours.h"
#include "eval/real_rows.h"
#include "eval/reference.h"
#include "eval/scores.h"
#include "metrics/nearest.h"
#include "runtime/communicator.h"
#include "train/model_file.h"

namespace gan::eval {

struct Options {
  std::int64_t count = 0;  ///< samples; 0: 10,000 images, 2,500 vectors (as in the papers on modes), 3,600 on a circle
  std::uint64_t seed = 1;
  bool fd_curve = false;
  bool cas = false;          ///< trains another classifier
  bool even_shares = false;  ///< as many samples of each class; else the class shares of the reference
  bool pixels = true;        ///< spread, duplicates and memorization
  bool parzen = true;
};

/// The scores of a model and the data for its pictures.
struct Evaluation {
  Scores scores;
  data::Dataset samples;     ///< with those columns of the reference's condition that the model has
  metrics::Nearest nearest;  ///< of the first samples: the nearest image of the reference's training part
};

/// Compares models with one reference. Results that do not depend on the model are computed once.
class Judge {
 public:
  /// The reference is one that fit_reference fitted to the models. Vectors need no network; images without any are
  /// compared by their pixels alone. Throws a usage error if the shape or the number of classes differs (any number
  /// fits data of one class and a classifier of exemplars).
  /// `backend` draws samples and computes features; null is the CPU. With several ranks all make the same Judge and
  /// call the same functions; they share drawing, features and the search for copies, and rank 0 gets all scores.
  explicit Judge(Reference reference, Networks networks = {}, const runtime::Backend* backend = nullptr,
                 runtime::Communicator& ranks = runtime::one_rank());

  /// Throws as require_fit and draw do.
  Evaluation evaluate(const train::Model& model, const Options& options, const Log& log = nullptr);

  /// The scores of samples that come from elsewhere, such as pictures in a folder: those columns of their condition
  /// that the reference has too are what they were drawn for. `count`, `even_shares` and `cas` of the options do not
  /// apply. Throws a usage error for samples of another shape, a data error as data::convert_units and align_condition
  /// do.
  Evaluation judge(data::Dataset samples, const Options& options) const;

  /// The reason why models get no joint score with this many samples; "" if they do.
  std::string why_no_score(std::int64_t samples) const;

  const Reference& reference() const { return reference_; }
  /// Frees the training part, which cas, pixels and parzen need.
  void drop_training_part() { reference_.train = {}; }

 private:
  /// Conditions without samples: columns of the reference that the model has too.
  data::Dataset conditions(const train::Model& model, const Options& options) const;
  data::Dataset conditions_of(const data::Dataset& part, const train::Model& model) const;
  /// Samples with these conditions, their categories matched by name.
  data::Dataset draw_with(const train::Model& model, const data::Dataset& wanted, std::uint64_t seed) const;
  /// The classes and numbers that the networks, or the neighbours of vectors, read.
  Embedded read(const data::Dataset& samples) const;
  /// The numbers [N, columns] minus those of the condition: mean absolute differences, NaN for columns that it lacks.
  /// With `unseen` only of rows whose number the training part lacks.
  std::vector<double> errors_of(const std::vector<float>& numbers, const data::Dataset& samples,
                                bool unseen = false) const;

  /// Computes the values that depend on the reference alone, from its features in real_.
  void judge_reference();
  std::int64_t width_of(const data::Dataset& samples) const;  // of the features
  /// Scores without those that need a model; `why_unconditional` is the reason if samples have no condition.
  Evaluation judge_samples(data::Dataset samples, const char* why_unconditional, const Options& options) const;
  void judge_modes(Evaluation& evaluation) const;
  void judge_circle(Evaluation& evaluation) const;
  void judge_vectors(const Options& options, Evaluation& evaluation) const;
  void judge_features(const Options& options, Evaluation& evaluation) const;
  void judge_numbers(const Embedded& drawn, Evaluation& evaluation) const;
  std::vector<Scores::Number::Window> windows(const data::NumberColumn& column, const metrics::Rows& samples,
                                              std::span<const float> of_samples, std::span<const float> of_real) const;
  void judge_coverage(const metrics::Rows& samples, Scores& scores) const;
  void judge_classes(const metrics::Rows& samples, Evaluation& evaluation) const;
  void judge_pixels(Evaluation& evaluation) const;
  void judge_copies(Evaluation& evaluation) const;
  void judge_copies_of_vectors(const metrics::Rows& samples, Evaluation& evaluation) const;
  void judge_parzen(Evaluation& evaluation) const;
  void judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const;
  void note_classes(const train::Model& model, const Options& options, Evaluation& evaluation) const;

  /// The class column of this data, [N]; empty if it has none.
  std::span<const std::int32_t> labels(const data::Dataset& dataset) const;
  /// Whether samples are points around a circle, with their angle as their condition.
  bool on_circle(const data::ConditionSpec& condition) const;
  /// Whether as many samples are drawn of each class, not with the conditions of the reference.
  bool draws_evenly(const data::ConditionSpec& condition, const Options& options) const;
  /// Whether the classifier, if there is one, tells the classes of the reference apart.
  bool reads_labels() const;
  std::int64_t mode_count() const;  // of synthetic points
  /// The indices of at most `most` different samples of the reference that the training part lacks, to search for
  /// copies beside `drawn` samples of a model; none, with the reason among the missing scores, if there are too few.
  std::vector<std::uint32_t> unseen_samples(std::int64_t drawn, std::int64_t most, Scores& scores) const;
  /// The note on a reference whose samples are all equal, or "".
  std::string note_on_copies() const;
  /// The reason why a score that needs so many samples and distinct reference images is missing, or "".
  std::string why_too_few(std::int64_t samples, std::int64_t needed) const;

  Reference reference_;
  data::ConditionColumn class_column_;   // of the reference; no name without one
  std::vector<std::uint32_t> distinct_;  // samples of reference_.held_out, the first of each set of equal ones
  const runtime::Backend* backend_;
  runtime::Communicator* ranks_;
  std::optional<Classifier> classifier_;
  std::string why_no_classifier_;  // if no network gives features
  std::unique_ptr<Embedder> embedder_, regressor_;
  std::unique_ptr<Neighbours> neighbours_;
  std::vector<data::NumberColumn> numbers_;  // that are read
  std::vector<double> own_errors_;           // of each, on the reference
  std::vector<std::set<float>> unseen_;      // of each, the values that the training part lacks
  std::string why_no_numbers_;               // if some are not read
  Scores::Embedding embedding_;
  Embedded real_;                  // of reference_.held_out
  std::optional<RealRows> all_;    // features of reference_.held_out
  std::vector<RealRows> classes_;  // the same of each class
};

}  // namespace gan::eval
