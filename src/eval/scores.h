#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/classifier.h"
#include "eval/columns.h"
#include "eval/neighbours.h"
#include "eval/reference.h"
#include "metrics/frechet.h"
#include "metrics/kid.h"
#include "metrics/nearest.h"
#include "metrics/parzen.h"
#include "metrics/prdc.h"
#include "metrics/spread.h"
#include "train/model_file.h"

namespace gan::eval {

/// The scores of a model. One that was not computed is absent; `missing` has the reason if it was requested.
struct Scores {
  std::int64_t steps = 0;       ///< that the model was trained for
  std::string data, data_hash;  ///< compared with; the hash is that of the training part
  std::string reference;
  std::int64_t reference_count = 0;
  std::int64_t reference_distinct = 0;     ///< images of the reference that differ from each other
  std::int64_t reference_in_training = 0;  ///< images of the reference that the training part holds too, if looked for
  std::int64_t samples = 0;
  std::uint64_t seed = 0;
  /// How conditions were chosen: equally many samples of each class, or as in the reference, whose rows repeat.
  enum class Drawn { unconditionally, evenly, as_reference } drawn = Drawn::unconditionally;

  struct Embedding {
    std::string hash;                ///< SHA-256 of the classifier's weights
    std::optional<double> accuracy;  ///< of the classifier on the reference; absent if it has other classes
    std::int64_t width = 0;
  };
  std::optional<Embedding> embedding;

  std::optional<double> label_accuracy;      ///< share of samples whose predicted class is their label
  std::optional<double> own_label_accuracy;  ///< of vectors: what their neighbours read right in the reference
  struct Class {
    std::optional<double> accuracy;  ///< absent if no sample of the class was drawn
    std::optional<double> fd;        ///< against the reference's images of the class
  };
  std::vector<Class> per_class;
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][predicted class]: samples
  std::vector<std::string> class_names;              ///< empty, or one for each class

  /// Numeric columns of the condition.
  struct Number {
    std::string name, unit;
    double error = 0;  ///< mean absolute difference of a sample's number and what is read from it, in the data's units
    double own_error = 0;  ///< the same of the reference, which is the error of what reads
  };
  std::vector<Number> numbers;

  std::optional<double> fd;
  struct CurvePoint {
    std::int64_t samples = 0;
    double fd = 0;
  };
  std::vector<CurvePoint> fd_curve;  ///< FD of the first samples; its decrease with their number shows its bias
  std::optional<metrics::Estimate> kid;
  std::optional<metrics::Prdc> prdc;

  struct Cas {
    double accuracy = 0;       ///< on the reference, of the classifier trained on samples instead of real images
    double real_accuracy = 0;  ///< of the one trained on real images
  };
  std::optional<Cas> cas;

  /// The spread of pixels in [0, 1]: 0 between labels if a model ignores them, 0 within if it ignores its latents.
  std::optional<metrics::Spread> spread, real_spread;
  /// Share of samples that lie within kDuplicateDistance (of vectors, kDuplicateDeviation) of another sample.
  std::optional<double> duplicates;
  struct Memorization {
    double samples_median = 0;   ///< distance of a sample to the nearest training image or vector
    double held_out_median = 0;  ///< of a held-out real one
    double share_closer = 0;     ///< share of pairs of the two in which the sample is closer; 1/2 without copies
  };
  std::optional<Memorization> memorization;
  std::optional<metrics::Parzen> parzen;

  struct Modes {
    std::int64_t found = 0, of = 0;
    double high_quality = 0;  ///< share of samples within `deviations` of a mode
    int deviations = 3;       ///< 4 for points around a circle, each of which has the mode of its angle
  };
  std::optional<Modes> modes;

  std::vector<ColumnScore> columns;  ///< of vectors
  double chance_distance = 0;        ///< that equal distributions exceed once in twenty columns, by chance
  std::optional<Correlations> correlations;
  /// The mean Kolmogorov-Smirnov distance of the columns, of which there is one or more.
  double mean_distance() const;

  double seconds = 0;
  std::vector<std::string> notes;

  struct Missing {
    std::string score;   ///< its key in JSON, see eval/report.h
    std::string reason;  ///< "reference has 10 images, needs 50"
  };
  std::vector<Missing> missing;  ///< requested scores that could not be computed
};

/// The numbers of samples and of reference images that a score needs to be meaningful. Equal reference images count
/// once.
inline constexpr std::int64_t kNeighbours = 5;                     ///< k of precision, recall, density, coverage
inline constexpr std::int64_t kRowsOfCoverage = 10 * kNeighbours;  ///< also for precision, recall, density
inline constexpr std::int64_t kRowsOfFrechet = kFeatures + 1;      ///< else covariances are singular
inline constexpr std::int64_t kRowsOfKid = 100;                    ///< ten blocks of ten
/// Everything else: medians, shares, Parzen windows, CAS; spread needs them of each label, modes of each mode.
inline constexpr std::int64_t kFewestRows = 10;

/// Distances between images are root mean square differences of pixels in [0, 1]; this one is five grey levels.
inline constexpr double kDuplicateDistance = 5.0 / 255;

/// The same of vectors, in deviations of their columns in the real data.
inline constexpr double kDuplicateDeviation = 1e-3;

/// Angles at which points around a circle are drawn, halfway between those of the data.
inline constexpr std::int64_t kAngles = 360;

/// One score in [0, 1] to choose the best of a run's models: the harmonic mean of coverage and, for conditional models,
/// label accuracy; for points, of the shares of modes found and of high-quality samples, and label accuracy; for other
/// vectors of coverage, 1 - the mean Kolmogorov-Smirnov distance, and label accuracy as a share of the neighbours' own.
/// Numeric conditions add own error / error, at most 1, as the mean of the columns. It is 0 if one of the parts is 0,
/// so the samples must be both correct and varied. nullopt without coverage, modes and distances.
std::optional<double> joint_score(const Scores& scores);

struct Options {
  std::int64_t count = 0;  ///< samples; 0: 10,000 images, 2,500 vectors (as in the papers on modes), 3,600 on a circle
  std::uint64_t seed = 1;
  bool fd_curve = false;
  bool cas = false;    ///< trains another classifier
  bool pixels = true;  ///< spread, duplicates and memorization
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
  /// The reference is one that fit_reference fitted to the models. Vectors need no network. Images are compared by the
  /// features of the classifier, without one by those of the regressor, without both by their pixels alone. Throws a
  /// usage error if the shape or the number of classes differs (any number fits data of one class).
  explicit Judge(Reference reference, std::optional<Classifier> classifier = std::nullopt,
                 std::optional<Classifier> regressor = std::nullopt);

  /// Throws as require_fit and draw do.
  Evaluation evaluate(const train::Model& model, const Options& options, const Log& log = nullptr);

  /// The reason why models get no joint score with this many samples; "" if they do.
  std::string why_no_score(std::int64_t samples) const;

  const Reference& reference() const { return reference_; }
  /// Frees the training part, which cas, pixels and parzen need.
  void drop_training_part() { reference_.train = {}; }

 private:
  /// Conditions without samples: columns of the reference that the model has too.
  data::Dataset conditions(const train::Model& model, std::int64_t count) const;
  data::Dataset conditions_of(const data::Dataset& part, const train::Model& model) const;
  /// Samples with these conditions, their categories matched by name.
  data::Dataset draw_with(const train::Model& model, const data::Dataset& wanted, std::uint64_t seed) const;
  /// The classes and numbers that the networks, or the neighbours of vectors, read.
  Embedded read(const data::Dataset& samples) const;
  /// The numbers [N, columns] minus those of the condition: mean absolute differences, NaN for columns that it lacks.
  std::vector<double> errors_of(const std::vector<float>& numbers, const data::Dataset& samples) const;

  void judge_modes(Evaluation& evaluation) const;
  void judge_circle(Evaluation& evaluation) const;
  void judge_vectors(const Options& options, Evaluation& evaluation) const;
  void judge_features(const Options& options, Evaluation& evaluation) const;
  void judge_numbers(const Embedded& drawn, Evaluation& evaluation) const;
  void judge_coverage(const metrics::Rows& samples, Scores& scores) const;
  void judge_classes(const metrics::Rows& samples, Evaluation& evaluation) const;
  void judge_pixels(Evaluation& evaluation) const;
  void judge_copies(Evaluation& evaluation) const;
  void judge_copies_of_vectors(const metrics::Rows& samples, Evaluation& evaluation) const;
  void judge_parzen(Evaluation& evaluation) const;
  void judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const;
  void note_classes(const train::Model& model, const Evaluation& evaluation, Scores& scores) const;

  /// The class column of this data, [N]; empty if it has none.
  std::span<const std::int32_t> labels(const data::Dataset& dataset) const;
  /// Whether samples are points around a circle, with their angle as their condition.
  bool on_circle(const data::ConditionSpec& condition) const;
  /// Whether as many samples are drawn of each class, not with the conditions of the reference.
  bool draws_evenly(const data::ConditionSpec& condition) const;
  /// Whether the classifier, if there is one, tells the classes of the reference apart.
  bool reads_labels() const;
  /// The reason why a score that needs so many samples and distinct reference images is missing, or "".
  std::string why_too_few(std::int64_t samples, std::int64_t needed) const;

  Reference reference_;
  data::ConditionColumn class_column_;   // of the reference; no name without one
  std::vector<std::uint32_t> distinct_;  // samples of reference_.held_out, the first of each set of equal ones
  std::optional<Classifier> classifier_;
  std::string why_no_classifier_;  // if no network gives features
  std::unique_ptr<Embedder> embedder_, regressor_;
  std::unique_ptr<Neighbours> neighbours_;
  std::vector<data::NumberColumn> numbers_;  // that are read
  std::vector<double> own_errors_;           // of each, on the reference
  std::string why_no_numbers_;               // if some are not read
  Scores::Embedding embedding_;
  Embedded real_;                                          // of reference_.held_out
  std::optional<metrics::Gaussian> gaussian_;              // if there are kRowsOfFrechet distinct images
  std::vector<std::optional<metrics::Gaussian>> classes_;  // the same of each class
};

}  // namespace gan::eval
