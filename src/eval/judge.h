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
  bool even_shares = false;  ///< equally many samples of each class; else the class shares of the reference
  bool pixels = true;        ///< whether to compute spread, duplicates and memorization
  bool parzen = true;
};

/// The scores of a model and the data for its pictures.
struct Evaluation {
  Scores scores;
  data::Dataset samples;     ///< with the columns that the conditions of reference and model share
  metrics::Nearest nearest;  ///< for the first samples: the nearest image of the reference's training part
};

/// Scores models by comparing them with one reference. Results that do not depend on the model are computed once.
class Judge {
 public:
  /// `reference` must have been fitted to the models by fit_reference. Vectors need no network; images without one are
  /// compared by their pixels only. Throws a usage error if the networks have another sample shape or another number of
  /// classes, unless the data has one class or the classifier is one of exemplars. `backend` draws samples and computes
  /// features; null is the CPU. If there are several ranks, all must make the same Judge and call the same functions;
  /// they share the work, and rank 0 gets all scores.
  explicit Judge(Reference reference, Networks networks = {}, const runtime::Backend* backend = nullptr,
                 runtime::Communicator& ranks = runtime::one_rank());

  /// Draws samples of a model and scores them. Throws as require_fit and draw do.
  Evaluation evaluate(const train::Model& model, const Options& options, const Log& log = nullptr);

  /// Scores samples from elsewhere, such as pictures in a folder. The columns that their condition shares with the
  /// reference are taken as the condition they were drawn for. `count`, `even_shares` and `cas` of the options are
  /// ignored. Throws a usage error for samples of another shape, a data error as data::convert_units and
  /// align_condition do.
  Evaluation judge(data::Dataset samples, const Options& options) const;

  /// The reason why models have no joint score with this number of samples; "" if they have one.
  std::string why_no_score(std::int64_t samples) const;

  const Reference& reference() const { return reference_; }
  /// Frees the training part, which cas, pixels and parzen need.
  void drop_training_part() { reference_.train = {}; }

 private:
  /// The conditions to draw samples for, as a data set without samples. Its columns are those that reference and model
  /// share.
  data::Dataset conditions(const train::Model& model, const Options& options) const;
  data::Dataset conditions_of(const data::Dataset& part, const train::Model& model) const;
  /// Draws samples with the conditions in `wanted`, whose categories are matched by name.
  data::Dataset draw_with(const train::Model& model, const data::Dataset& wanted, std::uint64_t seed) const;
  /// Predicts classes and numbers by the networks, or by the neighbours of vectors.
  Embedded read(const data::Dataset& samples) const;
  /// The mean absolute errors of predicted numbers [N, columns] compared with the condition, NaN for columns that it
  /// lacks. With `unseen`, only over rows whose number does not occur in the training part.
  std::vector<double> errors_of(const std::vector<float>& numbers, const data::Dataset& samples,
                                bool unseen = false) const;

  /// Computes the values that depend on the reference alone, from its features in real_.
  void judge_reference();
  std::int64_t width_of(const data::Dataset& samples) const;  // number of features
  /// Computes all scores but those that need a model. `why_unconditional`: the reason why the scores of conditions are
  /// missing if samples have none.
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
  /// Whether equally many samples are drawn of each class, and not with the conditions of the reference.
  bool draws_evenly(const data::ConditionSpec& condition, const Options& options) const;
  /// Whether there is a classifier whose classes are those of the reference.
  bool reads_labels() const;
  std::int64_t mode_count() const;  // of the mixture, for synthetic points
  /// The indices of at most `most` different samples of the reference that the training part lacks, to search for
  /// copies beside `drawn` samples of a model; none, with the reason among the missing scores, if there are too few.
  std::vector<std::uint32_t> unseen_samples(std::int64_t drawn, std::int64_t most, Scores& scores) const;
  /// The note on a reference whose samples are all equal, or "".
  std::string note_on_copies() const;
  /// The reason why a score that needs `needed` samples and distinct reference images is missing, or "".
  std::string why_too_few(std::int64_t samples, std::int64_t needed) const;

  Reference reference_;
  data::ConditionColumn class_column_;   // of the reference; its name is "" if there is none
  std::vector<std::uint32_t> distinct_;  // samples of reference_.held_out, without repeats
  const runtime::Backend* backend_;
  runtime::Communicator* ranks_;
  std::optional<Classifier> classifier_;
  std::string why_no_classifier_;  // the reason, if there is no network for features
  std::unique_ptr<Embedder> embedder_, regressor_;
  std::unique_ptr<Neighbours> neighbours_;
  std::vector<data::NumberColumn> numbers_;  // the numbers that are predicted
  std::vector<double> own_errors_;           // the mean absolute error of each on the reference
  std::vector<std::set<float>> unseen_;      // for each, the values that do not occur in the training part
  std::string why_no_numbers_;               // the reason, if some numbers are not predicted
  Scores::Embedding embedding_;
  Embedded real_;                  // of reference_.held_out
  std::optional<RealRows> all_;    // features of reference_.held_out
  std::vector<RealRows> classes_;  // the same for each class
};

}  // namespace gan::eval
