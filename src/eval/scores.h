#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "eval/classifier.h"
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
  std::int64_t samples = 0;                ///< drawn, equally many of each class
  std::uint64_t seed = 0;

  struct Embedding {
    std::string hash;                ///< SHA-256 of the classifier's weights
    std::optional<double> accuracy;  ///< of the classifier on the reference; absent if it has other classes
    std::int64_t width = 0;
  };
  std::optional<Embedding> embedding;

  std::optional<double> label_accuracy;  ///< share of samples whose predicted class is their label
  struct Class {
    std::optional<double> accuracy;  ///< absent if no sample of the class was drawn
    std::optional<double> fd;        ///< against the reference's images of the class
  };
  std::vector<Class> per_class;
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][predicted class]: samples
  std::vector<std::string> class_names;              ///< empty, or one for each class

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
  /// Share of samples that lie within kDuplicateDistance of another sample.
  std::optional<double> duplicates;
  struct Memorization {
    double samples_median = 0;   ///< distance of a sample to the nearest training image
    double held_out_median = 0;  ///< of a held-out real image
    double share_closer = 0;     ///< share of pairs of the two in which the sample is closer; 1/2 without copies
  };
  std::optional<Memorization> memorization;
  std::optional<metrics::Parzen> parzen;

  struct Modes {
    std::int64_t found = 0, of = 0;
    double high_quality = 0;  ///< share of samples within three deviations of a mode
  };
  std::optional<Modes> modes;

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

/// One score in [0, 1] to choose the best of a run's models: the harmonic mean of coverage and, for conditional models,
/// label accuracy; for points, of the shares of modes found and of high-quality samples, and label accuracy. It is 0 if
/// one of them is 0, so the samples must be both correct and varied. nullopt without coverage or modes.
std::optional<double> joint_score(const Scores& scores);

struct Options {
  std::int64_t count = 0;  ///< samples; 0: 10,000 images, 2,500 points (as in the papers on modes)
  std::uint64_t seed = 1;
  bool fd_curve = false;
  bool cas = false;    ///< trains another classifier
  bool pixels = true;  ///< spread, duplicates and memorization
  bool parzen = true;
};

/// The scores of a model and the data for its pictures.
struct Evaluation {
  Scores scores;
  data::Dataset samples;     ///< sample i has the label i % classes
  metrics::Nearest nearest;  ///< of the first samples: the nearest image of the reference's training part
};

/// Throws a usage error if a model does not fit the data (shape, labels, number of classes).
void require_fit(const train::Model& model, const Reference& reference);

/// Compares models with one reference. Results that do not depend on the model are computed once.
class Judge {
 public:
  /// Vectors need no classifier; images without one are judged by their pixels alone. Throws a usage error if its shape
  /// or number of classes differs (any number fits data of one class), and for vectors whose modes are not known.
  Judge(Reference reference, std::optional<Classifier> classifier);

  /// Throws as require_fit and draw do.
  Evaluation evaluate(const train::Model& model, const Options& options, const Log& log = nullptr);

  /// The reason why models get no joint score with this many samples; "" if they do.
  std::string why_no_score(std::int64_t samples) const;

  const Reference& reference() const { return reference_; }
  /// Frees the training part, which cas, pixels and parzen need.
  void drop_training_part() { reference_.train = {}; }

 private:
  void judge_vectors(const train::Model& model, Evaluation& evaluation) const;
  void judge_features(const train::Model& model, const Options& options, Evaluation& evaluation);
  void judge_classes(const metrics::Rows& samples, Evaluation& evaluation) const;
  void judge_pixels(Evaluation& evaluation) const;
  void judge_copies(Evaluation& evaluation) const;
  void judge_parzen(Evaluation& evaluation) const;
  void judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const;

  /// Whether the classifier, if there is one, tells the classes of the reference apart.
  bool reads_labels() const;
  /// The reason why a score that needs so many samples and distinct reference images is missing, or "".
  std::string why_too_few(std::int64_t samples, std::int64_t needed) const;

  Reference reference_;
  std::vector<std::uint32_t> distinct_;  // images of reference_.held_out, the first of each set of equal ones
  std::optional<Classifier> classifier_;
  std::string why_no_classifier_;  // if there is none
  std::unique_ptr<Embedder> embedder_;
  Scores::Embedding embedding_;
  Embedded real_;                                          // of reference_.held_out
  std::optional<metrics::Gaussian> gaussian_;              // if there are kRowsOfFrechet distinct images
  std::vector<std::optional<metrics::Gaussian>> classes_;  // the same of each class
};

}  // namespace gan::eval
