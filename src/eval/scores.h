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

/// The scores of a model, or of samples from elsewhere. One that was not computed is absent; `missing` has the reason
/// if it was requested.
struct Scores {
  std::int64_t steps = 0;       ///< that the model was trained for; 0 if samples come from elsewhere
  std::string data, data_hash;  ///< compared with; the hash is that of the training part
  std::string reference;
  std::int64_t reference_count = 0;
  std::int64_t reference_distinct = 0;     ///< images of the reference that differ from each other
  std::int64_t reference_in_training = 0;  ///< samples of the reference that the training part holds too, if looked for
  std::int64_t samples = 0;
  std::uint64_t seed = 0;
  /// How conditions were chosen: equally many samples of each class; as in the reference, whose rows repeat; or
  /// elsewhere, with the samples.
  enum class Drawn { unconditionally, evenly, as_reference, elsewhere } drawn = Drawn::unconditionally;

  struct Embedding {
    std::string hash;                ///< SHA-256 of the classifier's weights
    bool exemplars = false;          ///< the classifier learned without labels, see train_exemplars
    std::optional<double> accuracy;  ///< of the classifier on the reference; absent if it has other classes
    std::int64_t width = 0;
  };
  std::optional<Embedding> embedding;

  std::optional<double> label_accuracy;      ///< share of samples whose predicted class is their label
  std::optional<double> own_label_accuracy;  ///< of vectors: what their neighbours read right in the reference
  /// A Frechet distance in the embedding.
  struct Frechet {
    double value = 0;
    /// The number of rows if they are too few for a covariance, see frechet_distance_of_few; else 0.
    std::int64_t few = 0;
  };
  struct Class {
    std::optional<double> accuracy;  ///< absent if no sample of the class was drawn
    std::optional<Frechet> fd;       ///< against the reference's images of the class
  };
  std::vector<Class> per_class;
  std::vector<std::vector<std::int64_t>> confusion;  ///< [label][predicted class]: samples
  std::vector<std::string> class_names;              ///< empty, or one for each class

  /// Numeric columns of the condition.
  struct Number {
    std::string name, unit;
    double error = 0;  ///< mean absolute difference of a sample's number and what is read from it, in the data's units
    double own_error = 0;  ///< the same of the reference, which is the error of what reads
    /// Values of the reference that the training part lacks, ascending, where values repeat; the error at these alone.
    std::vector<double> unseen;
    std::optional<double> unseen_error;
    /// Frechet distances of the samples and the reference's rows whose numbers lie in [low, high]: windows of a tenth
    /// of the reference, each half a window after the one before. Those of a periodic column go around the circle: in
    /// [0, period), with low > high where a window reaches across 0.
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
    double samples_median = 0;              ///< distance of a sample to the nearest training image or vector
    std::optional<double> held_out_median;  ///< of a held-out real one; absent if too few are held out
    std::optional<double> share_closer;     ///< share of pairs of the two in which the sample is closer; 1/2: no copies
    /// Share of samples within `limit` of a training image, or of one shifted by a pixel; of held-out real ones.
    double copies = 0;
    std::optional<double> held_out_copies;
    double limit = 0;

    /// Whether samples are copies: more than a tenth of them, and more than three times as many as of held-out ones.
    bool copied() const { return copies > 0.1 && copies > 3 * held_out_copies.value_or(0); }
  };
  std::optional<Memorization> memorization;
  std::optional<metrics::Parzen> parzen;

  struct Modes {
    std::int64_t found = 0, of = 0;
    double high_quality = 0;  ///< share of samples within `deviations` of a mode
    int deviations = 3;       ///< 4 for points around a circle, each of which has the mode of its angle
  };
  std::optional<Modes> modes;

  std::vector<ColumnScore> columns;      ///< of vectors
  double chance_distance = 0;            ///< that equal distributions exceed once in twenty columns, by chance
  std::optional<double> two_sample_auc;  ///< metrics::two_sample_auc in columns of deviation 1
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
inline constexpr std::int64_t kRowsOfKid = 20;                     ///< two blocks of ten
/// Everything else: FD, medians, shares, Parzen windows, CAS; spread needs them of each label, modes of each mode.
inline constexpr std::int64_t kFewestRows = 10;

/// Distances between images are root mean square differences of pixels in [0, 1]; this one is five grey levels.
inline constexpr double kDuplicateDistance = 5.0 / 255;

/// The same of vectors, in deviations of their columns in the real data.
inline constexpr double kDuplicateDeviation = 1e-3;

/// At most so many samples are searched for copies: more do not change two digits of a median.
inline constexpr std::int64_t kMostSearched = 5000;

/// Angles at which points around a circle are drawn: evenly, shifted by half the spacing of the data's.
inline constexpr std::int64_t kAngles = 360, kPointsOnCircle = kFewestRows * kAngles;

/// The share of labels [N] that are predicted right.
double accuracy_of(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels);

/// Sets label accuracy, overall and of each of `classes` classes, and the confusion matrix unless there are too many.
void count_labels(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels, int classes,
                  Scores& scores);

/// The verdict on copies by distances to the nearest training sample: all distances of samples and of held-out ones,
/// and those by which copies are counted, which may be of shifted images. `held_out` and `shifted_held_out` are empty
/// if nothing is held out. A distance up to `duplicate` is always that of a copy.
Scores::Memorization memorization(const std::vector<double>& samples, const std::vector<double>& held_out,
                                  const std::vector<double>& shifted_samples,
                                  const std::vector<double>& shifted_held_out, double duplicate);

/// One score in [0, 1] to choose the best of a run's models: the harmonic mean of coverage and, for conditional models,
/// label accuracy; for points, of the shares of modes found and of high-quality samples, and label accuracy; for other
/// vectors of coverage, 1 - the mean Kolmogorov-Smirnov distance, and label accuracy as a share of the neighbours' own.
/// Numeric conditions add own error / error, at most 1, as the mean of the columns. It is 0 if one of the parts is 0,
/// so the samples must be both correct and varied. nullopt without coverage, modes and distances.
std::optional<double> joint_score(const Scores& scores);

}  // namespace gan::eval
