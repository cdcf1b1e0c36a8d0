#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "eval/columns.h"
#include "metrics/kid.h"
#include "metrics/parzen.h"
#include "metrics/prdc.h"
#include "metrics/spread.h"

namespace gan::eval {

/// The scores of a model, or of samples from elsewhere. Scores that were not computed are absent; `missing` has the
/// reason if they were requested.
struct Scores {
  std::int64_t steps = 0;       ///< steps that the model was trained for; 0 for samples from elsewhere
  std::string data, data_hash;  ///< of the reference; the hash is that of its training part
  std::string reference;
  std::int64_t reference_count = 0;
  std::int64_t reference_distinct = 0;     ///< different images of the reference
  std::int64_t reference_in_training = 0;  ///< samples of the reference that are also in the training part, if computed
  std::int64_t samples = 0;
  std::uint64_t seed = 0;
  /// How conditions were chosen: none; equally many samples of each class; those of the reference, repeated if there
  /// are more samples; or as the samples from elsewhere had them.
  enum class Drawn { unconditionally, evenly, as_reference, elsewhere } drawn = Drawn::unconditionally;

  struct Embedding {
    std::string hash;                ///< SHA-256 of the classifier's weights
    bool exemplars = false;          ///< the classifier learned without labels, see train_exemplars
    std::optional<double> accuracy;  ///< of the classifier on the reference; absent if their classes differ
    std::int64_t width = 0;
  };
  std::optional<Embedding> embedding;

  std::optional<double> label_accuracy;      ///< share of samples whose predicted class is their label
  std::optional<double> own_label_accuracy;  ///< of vectors: that of predictions by neighbours on the reference
  /// A Frechet distance in the embedding.
  struct Frechet {
    double value = 0;
    /// The number of rows if there are too few for a covariance, see frechet_distance_of_few; else 0.
    std::int64_t few = 0;
  };
  struct Class {
    std::optional<double> accuracy;  ///< absent if no sample of the class was drawn
    std::optional<Frechet> fd;       ///< against the reference's images of the class
  };
  std::vector<Class> per_class;
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][predicted class]: samples
  std::vector<std::string> class_names;              ///< empty, or one for each class

  /// The scores of a numeric column of the condition.
  struct Number {
    std::string name, unit;
    double error = 0;      ///< mean absolute error of the number predicted from a sample, in the data's units
    double own_error = 0;  ///< the same on the reference: the error of the prediction itself
    /// If values repeat: those of the reference that do not occur in the training part, ascending, and the error at
    /// them.
    std::vector<double> unseen;
    std::optional<double> unseen_error;
    /// The Frechet distance of samples and reference rows whose number lies in [low, high]. A window has a tenth of the
    /// reference, and each begins half a window after the one before. Those of a periodic column go around the circle:
    /// in [0, period), with low > high where a window reaches across 0.
    struct Window {
      double low = 0, high = 0;
      Frechet fd;
    };
    std::vector<Window> windows;
  };
  std::vector<Number> numbers;

  std::optional<Frechet> fd;
  struct CurvePoint {
    std::int64_t samples = 0;
    double fd = 0;
  };
  std::vector<CurvePoint> fd_curve;  ///< FD by number of samples; how it decreases shows its bias
  std::optional<metrics::Estimate> kid;
  std::optional<metrics::Prdc> prdc;

  struct Cas {
    double accuracy = 0;       ///< of a classifier trained on samples, on the reference
    double real_accuracy = 0;  ///< of a classifier trained on real images
  };
  std::optional<Cas> cas;

  /// The spread of pixels in [0, 1]. That between labels is 0 if a model ignores labels, that within labels if it
  /// ignores latents.
  std::optional<metrics::Spread> spread, real_spread;
  /// Share of samples that lie within kDuplicateDistance (of vectors, kDuplicateDeviation) of another sample.
  std::optional<double> duplicates;
  struct Memorization {
    double samples_median = 0;              ///< distance of a sample to the nearest training image or vector
    std::optional<double> held_out_median;  ///< the same of held-out real ones; absent if there are too few
    std::optional<double> share_closer;     ///< share of pairs of both in which the sample is closer; 1/2: no copies
    /// The share of samples, and of held-out real images, within `limit` of a training image or one shifted by a pixel.
    double copies = 0;
    std::optional<double> held_out_copies;
    double limit = 0;

    /// Whether the model copies: more than a tenth of samples are copies, and more than three times the share of
    /// held-out images.
    bool copied() const { return copies > 0.1 && copies > 3 * held_out_copies.value_or(0); }
  };
  std::optional<Memorization> memorization;
  std::optional<metrics::Parzen> parzen;

  struct Modes {
    std::int64_t found = 0, of = 0;
    double high_quality = 0;  ///< share of samples within `deviations` of a mode
    int deviations = 3;       ///< 4 for points around a circle, where each angle has its own mode
  };
  std::optional<Modes> modes;

  std::vector<ColumnScore> columns;  ///< of vectors
  double chance_distance = 0;  ///< Kolmogorov-Smirnov distance that equal distributions exceed with probability 1/20
  std::optional<double> two_sample_auc;  ///< metrics::two_sample_auc of standardized columns
  std::optional<Correlations> correlations;
  /// The mean Kolmogorov-Smirnov distance of the columns. There must be at least one.
  double mean_distance() const;

  double seconds = 0;
  std::vector<std::string> notes;

  struct Missing {
    std::string score;   ///< its key in JSON, see eval/report.h
    std::string reason;  ///< "reference has 10 images, needs 50"
  };
  std::vector<Missing> missing;  ///< requested scores that could not be computed
};

/// The numbers of samples and of reference images that scores need to be meaningful. Equal reference images count once.
inline constexpr std::int64_t kNeighbours = 5;                     ///< k of precision, recall, density, coverage
inline constexpr std::int64_t kRowsOfCoverage = 10 * kNeighbours;  ///< also for precision, recall, density
inline constexpr std::int64_t kRowsOfKid = 20;                     ///< two blocks of ten
/// For all other scores: FD, medians, shares, Parzen windows, CAS; per label for spread, per mode for modes.
inline constexpr std::int64_t kFewestRows = 10;

/// The largest distance of duplicates: five grey levels. Distances between images are root mean square differences of
/// pixels in [0, 1].
inline constexpr double kDuplicateDistance = 5.0 / 255;

/// The same for vectors, in standard deviations of their columns in the real data.
inline constexpr double kDuplicateDeviation = 1e-3;

/// The most samples that are searched for copies. More would not change two digits of a median.
inline constexpr std::int64_t kMostSearched = 5000;

/// The number of angles for which points around a circle are drawn: evenly spaced, shifted by half the spacing of the
/// data's angles.
inline constexpr std::int64_t kAngles = 360, kPointsOnCircle = kFewestRows * kAngles;

/// The share of labels [N] that are predicted correctly.
double accuracy_of(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels);

/// Sets label accuracy, overall and of each of `classes` classes, and the confusion matrix unless there are too many.
void count_labels(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels, int classes,
                  Scores& scores);

/// Computes the scores of memorization from distances to the nearest training sample. The shifted distances, by which
/// copies are counted, may be those of shifted images. `held_out` and `shifted_held_out` are empty if nothing is held
/// out. Samples within `duplicate` are always copies.
Scores::Memorization memorization(const std::vector<double>& samples, const std::vector<double>& held_out,
                                  const std::vector<double>& shifted_samples,
                                  const std::vector<double>& shifted_held_out, double duplicate);

/// One score in [0, 1] to choose the best of a run's models, a harmonic mean. For images: of coverage and label
/// accuracy. For points: of the share of modes found, the share of high-quality samples and label accuracy. For other
/// vectors: of coverage, 1 - the mean Kolmogorov-Smirnov distance, and label accuracy / own_label_accuracy. Numeric
/// conditions add the mean over columns of own_error / error, at most 1. The score is 0 if one of the parts is 0, so
/// samples must be both correct and varied. nullopt if there is neither coverage nor modes nor distances.
std::optional<double> joint_score(const Scores& scores);

}  // namespace gan::eval
