#include "eval/scores.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/repeats.h"
#include "eval/draw.h"
#include "metrics/modes.h"

namespace gan::eval {

using metrics::Rows;

namespace {

constexpr std::int64_t kImages = 10'000, kPoints = 2'500;
constexpr std::int64_t kRowsOfPrdc = 5000;
constexpr int kMostConfusions = 256;
constexpr double kPoorAccuracy = 0.5;           // a worse classifier gets a note
constexpr std::uint64_t kSeed = 0;              // of the random rows, fixed so that a model's scores do not change
constexpr std::int64_t kRowsOfPixels = 5000;    // more rows do not change two digits of a median
constexpr std::int64_t kElements = 1 << 26;     // pixels held as floats at a time: 256 MB
constexpr std::int64_t kValidationRows = 1000;  // to choose Parzen's sigma
constexpr const char* kOneClass = "the data has one class, so there is nothing to tell apart";

/// The number of images of `size` elements that may be held as floats at a time, at least two.
std::int64_t most_images(std::int64_t size) { return std::max<std::int64_t>(kElements / size, 2); }

/// Values of images [first, first + count) as rows [count, C*H*W] of pixels in [0, 1].
std::vector<float> pixel_rows(const data::Dataset& images, std::int64_t first, std::int64_t count) {
  const std::int64_t size = graph::element_count(images.sample_shape);
  const std::uint8_t* bytes = images.pixels.get() + first * size;
  std::vector<float> values(static_cast<std::size_t>(count * size));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(bytes[i]) / 255;
  return values;
}

/// The rows of `features` whose label is `k`.
std::vector<float> rows_of_class(const Rows& features, std::span<const std::int32_t> labels, std::size_t k) {
  std::vector<float> chosen;
  for (std::int64_t i = 0; i < features.count(); ++i) {
    if (labels[static_cast<std::size_t>(i)] != static_cast<std::int32_t>(k)) continue;
    chosen.insert(chosen.end(), features.row(i).begin(), features.row(i).end());
  }
  return chosen;
}

std::optional<metrics::Gaussian> gaussian_of(const Rows& features, std::int64_t distinct) {
  if (distinct < kRowsOfFrechet) return std::nullopt;
  return metrics::fit_gaussian(features);
}

/// Features of these images.
std::vector<float> features_of(const Embedded& embedded, const std::vector<std::uint32_t>& indices) {
  std::vector<float> chosen;
  const Rows rows{embedded.features, kFeatures};
  for (const std::uint32_t index : indices) {
    const std::span<const float> row = rows.row(index);
    chosen.insert(chosen.end(), row.begin(), row.end());
  }
  return chosen;
}

void miss(Scores& scores, std::initializer_list<const char*> keys, const std::string& reason) {
  for (const char* key : keys) scores.missing.push_back({key, reason});
}

/// The reason why a score that needs `needed` rows of each side is missing; "" if there are enough. "reference has 10
/// images, 30 samples, needs 50".
std::string too_few(std::int64_t samples, std::int64_t images, const std::string& reference_has, std::int64_t needed) {
  std::string reason;
  if (images < needed) reason = "reference has " + reference_has;
  if (samples < needed) reason += (reason.empty() ? "" : ", ") + base::counted(samples, "sample");
  return reason.empty() ? "" : reason + ", needs " + base::grouped(static_cast<std::uint64_t>(needed));
}
std::string too_few_samples(std::int64_t samples, std::int64_t needed) { return too_few(samples, needed, "", needed); }
std::string too_few_images(std::int64_t images, std::int64_t needed) {
  return too_few(needed, images, base::counted(images, "image"), needed);
}

/// The labels of the first images; none if there are fewer than two classes.
std::span<const std::int32_t> labels_of_first(const data::Dataset& images, std::int64_t count) {
  return images.labels().first(images.classes() < 2 ? 0 : static_cast<std::size_t>(count));
}

std::int64_t mode_count(const data::Dataset& points) {
  return static_cast<std::int64_t>(points.modes.size()) / points.sample_shape[0];
}

double accuracy_of(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels) {
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += predicted[i] == labels[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Label accuracy, overall and of each class, and the confusion matrix of up to kMostConfusions classes.
void count_labels(const std::vector<std::int32_t>& predicted, std::span<const std::int32_t> labels, int classes,
                  Scores& scores) {
  const auto count = static_cast<std::size_t>(classes);
  std::vector<std::int64_t> drawn(count), right(count);
  for (std::size_t i = 0; i < labels.size(); ++i) {
    ++drawn[static_cast<std::size_t>(labels[i])];
    right[static_cast<std::size_t>(labels[i])] += predicted[i] == labels[i];
  }
  scores.label_accuracy = accuracy_of(predicted, labels);
  for (std::size_t k = 0; k < count; ++k) {
    Scores::Class& of_class = scores.per_class.emplace_back();
    if (drawn[k] > 0) of_class.accuracy = static_cast<double>(right[k]) / static_cast<double>(drawn[k]);
  }
  if (classes > kMostConfusions)
    return miss(scores, {"confusion"}, fmt::format("{} classes, at most {} are shown", classes, kMostConfusions));
  scores.confusion.assign(count, std::vector<std::int64_t>(count));
  for (std::size_t i = 0; i < labels.size(); ++i)
    ++scores.confusion[static_cast<std::size_t>(labels[i])][static_cast<std::size_t>(predicted[i])];
}

/// Euclidean distances as root mean square differences of pixels.
std::vector<double> per_pixel(std::vector<double> distances, const graph::Shape& shape) {
  const double scale = 1 / std::sqrt(static_cast<double>(graph::element_count(shape)));
  for (double& distance : distances) distance *= scale;
  return distances;
}

metrics::Nearest nearest_images(const std::vector<float>& rows, const data::Dataset& images) {
  const std::int64_t width = graph::element_count(images.sample_shape);
  const std::int64_t rows_of_piece = std::clamp<std::int64_t>(kElements / 16 / width, 16, 4096);
  metrics::Nearest nearest;
  for (std::int64_t first = 0; first < images.count(); first += rows_of_piece) {
    const std::vector<float> piece = pixel_rows(images, first, std::min(rows_of_piece, images.count() - first));
    metrics::find_nearest({rows, width}, {piece, width}, first, nearest);
  }
  return nearest;
}

}  // namespace

std::optional<double> joint_score(const Scores& scores) {
  std::vector<double> parts;
  if (scores.prdc) parts.push_back(scores.prdc->coverage);
  if (scores.modes) {
    parts.push_back(static_cast<double>(scores.modes->found) / static_cast<double>(scores.modes->of));
    parts.push_back(scores.modes->high_quality);
  }
  if (parts.empty()) return std::nullopt;
  if (scores.label_accuracy) parts.push_back(*scores.label_accuracy);
  double inverses = 0;
  for (const double part : parts) {
    if (part <= 0) return 0;
    inverses += 1 / part;
  }
  return static_cast<double>(parts.size()) / inverses;
}

Judge::Judge(Reference reference, std::optional<Classifier> classifier)
    : reference_(std::move(reference)), classifier_(std::move(classifier)) {
  const data::Dataset& real = reference_.held_out;
  if (!real.is_image()) {
    if (real.modes.empty())
      base::fail_usage("{}: vectors whose modes are not known; there is nothing to judge them by", real.source);
    return;
  }
  distinct_ = data::distinct_images(real);
  if (!classifier_) {
    why_no_classifier_ = "needs a classifier";
    if (const std::string why = why_no_classifier(reference_.train); !why.empty()) why_no_classifier_ += ": " + why;
    return;
  }
  if (real.classes() > 1 && classifier_->classes != real.classes())
    base::fail_usage("{}: {}; the embedding's classifier has {}", real.source,
                     base::counted(real.classes(), "class", "classes"), classifier_->classes);
  embedder_ = std::make_unique<Embedder>(*classifier_);
  real_ = embedder_->embed(real);
  embedding_ = {hash_of(*classifier_), std::nullopt, kFeatures};
  if (reads_labels()) embedding_.accuracy = accuracy_of(real_.classes, real.labels());
  gaussian_ = gaussian_of({real_.features, kFeatures}, static_cast<std::int64_t>(distinct_.size()));
  std::vector<std::int64_t> distinct(static_cast<std::size_t>(real.classes()));
  for (const std::uint32_t index : distinct_)
    if (real.classes() > 0) ++distinct[static_cast<std::size_t>(real.label(index))];
  for (std::size_t k = 0; k < distinct.size(); ++k) {
    const std::vector<float> rows = rows_of_class({real_.features, kFeatures}, real.labels(), k);
    classes_.push_back(gaussian_of({rows, kFeatures}, distinct[k]));
  }
}

bool Judge::reads_labels() const { return classifier_ && classifier_->classes == reference_.held_out.classes(); }

std::string Judge::why_too_few(std::int64_t samples, std::int64_t needed) const {
  const data::Dataset& real = reference_.held_out;
  const auto distinct = static_cast<std::int64_t>(distinct_.size());
  std::string has = base::counted(real.count(), "image");
  if (distinct < real.count()) has = fmt::format("{}, {} different", has, distinct);
  return too_few(samples, distinct, has, needed);
}

std::string Judge::why_no_score(std::int64_t samples) const {
  if (reference_.held_out.is_image()) return embedder_ ? why_too_few(samples, kRowsOfCoverage) : why_no_classifier_;
  return too_few_samples(samples, kFewestRows * mode_count(reference_.held_out));
}

void require_fit(const train::Model& model, const Reference& reference) {
  const data::Dataset& real = reference.held_out;
  if (model.sample_shape != real.sample_shape)
    base::fail_usage("the model draws samples of {}, {} has {}; give the data it was trained on",
                     graph::to_string(model.sample_shape), real.source, graph::to_string(real.sample_shape));
  if (!model.condition.empty() && real.condition.empty())
    base::fail_usage("the model takes labels and {} has none; give the data it was trained on", real.source);
  if (!model.condition.empty() && model.condition.classes() != real.classes())
    base::fail_usage("the model has {}, {} has {}; give the data it was trained on", model.condition.text(),
                     real.source, real.classes());
}

Evaluation Judge::evaluate(const train::Model& model, const Options& options, const Log& log) {
  const auto start = std::chrono::steady_clock::now();
  const data::Dataset& real = reference_.held_out;
  const std::int64_t count = options.count > 0 ? options.count : real.is_image() ? kImages : kPoints;
  require_fit(model, reference_);
  Evaluation evaluation;
  Scores& scores = evaluation.scores;
  scores.steps = model.steps;
  scores.data = real.source;
  scores.data_hash = reference_.hash;
  scores.reference = reference_.name;
  scores.reference_count = real.count();
  scores.reference_distinct = real.is_image() ? static_cast<std::int64_t>(distinct_.size()) : real.count();
  scores.samples = count;
  scores.seed = options.seed;
  if (!model.condition.empty())
    scores.class_names = model.condition.class_names();
  else
    miss(scores, {"label_accuracy"}, "the model is unconditional");
  evaluation.samples = draw(model, count, data::values_in_turn(model.condition, count), options.seed);
  if (!real.is_image()) {
    judge_vectors(model, evaluation);
  } else {
    judge_features(model, options, evaluation);
    if (options.pixels) judge_pixels(evaluation);
    if (options.parzen) judge_parzen(evaluation);
    if (options.cas) judge_cas(model, options, evaluation, log);
  }
  if (!joint_score(scores)) miss(scores, {"score"}, real.is_image() ? "needs coverage" : "needs modes");
  // For an unconditional model the hash may differ just because it includes the labels.
  if (real.is_image() && !model.condition.empty() && model.data_hash != reference_.hash)
    scores.notes.push_back(fmt::format("the model was trained on other data ({})", model.data_name));
  scores.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

void Judge::judge_vectors(const train::Model& model, Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  const std::int64_t width = real.sample_shape[0], modes = mode_count(real);
  const metrics::ModeCount count = metrics::count_modes({evaluation.samples.points, width}, {real.modes, width},
                                                        static_cast<double>(real.mode_deviation));
  // The label of a synthetic point is the index of its mode.
  if (modes == model.condition.classes())
    count_labels(count.nearest, evaluation.samples.labels(), model.condition.classes(), scores);
  if (const std::string why = why_no_score(scores.samples); why.empty())
    scores.modes = {count.found, modes, count.high_quality};
  else
    miss(scores, {"modes"}, why);
}

void Judge::judge_features(const train::Model& model, const Options& options, Evaluation& evaluation) {
  Scores& scores = evaluation.scores;
  if (!embedder_) {
    if (!model.condition.empty()) miss(scores, {"label_accuracy"}, why_no_classifier_);
    miss(scores, {"fd", "kid", "precision", "recall", "density", "coverage"}, why_no_classifier_);
    return;
  }
  scores.embedding = embedding_;
  const Embedded drawn = embedder_->embed(evaluation.samples);
  const Rows fake{drawn.features, kFeatures}, real{real_.features, kFeatures};
  if (!model.condition.empty() && !reads_labels()) {
    miss(scores, {"label_accuracy"}, kOneClass);
  } else if (!model.condition.empty()) {
    count_labels(drawn.classes, evaluation.samples.labels(), model.condition.classes(), scores);
    judge_classes(fake, evaluation);
    if (*embedding_.accuracy < kPoorAccuracy)
      scores.notes.push_back(
          fmt::format("the classifier is right on {:.0f}% of the reference: label accuracy and scores "
                      "in its features mean little",
                      100 * *embedding_.accuracy));
  }
  if (const std::string why = why_too_few(fake.count(), kRowsOfFrechet); why.empty()) {
    scores.fd = metrics::frechet_distance(metrics::fit_gaussian(fake), *gaussian_);
    for (const std::int64_t part : {8, 4, 2, 1})
      if (const std::int64_t count = fake.count() / part; options.fd_curve && count >= kRowsOfFrechet)
        scores.fd_curve.push_back(
            {count, metrics::frechet_distance(metrics::fit_gaussian(fake.slice(0, count)), *gaussian_)});
  } else {
    miss(scores, {"fd"}, why);
    if (options.fd_curve) miss(scores, {"fd_curve"}, why);
  }
  if (const std::string why = why_too_few(fake.count(), kRowsOfKid); why.empty())
    scores.kid = metrics::kid(real, fake, kSeed);
  else
    miss(scores, {"kid"}, why);
  if (const std::string why = why_no_score(fake.count()); why.empty()) {
    // Both sides get the same number of rows, since few real rows have large balls, in which one of many samples would
    // lie by chance. Equal real rows count once, since their balls are empty.
    const auto distinct = static_cast<std::int64_t>(distinct_.size());
    const std::int64_t rows = std::min({kRowsOfPrdc, fake.count(), distinct});
    const std::vector<float> real_rows =
        metrics::choose_rows(Rows{features_of(real_, distinct_), kFeatures}, rows, kSeed);
    const std::vector<float> fake_rows = metrics::choose_rows(fake, rows, kSeed + 1);
    scores.prdc = metrics::prdc({real_rows, kFeatures}, {fake_rows, kFeatures}, kNeighbours);
  } else {
    miss(scores, {"precision", "recall", "density", "coverage"}, why);
  }
}

void Judge::judge_classes(const Rows& fake, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const std::span<const std::int32_t> labels = evaluation.samples.labels();
  std::int64_t undrawn = 0, few = 0;
  for (std::size_t k = 0; k < scores.per_class.size(); ++k) {
    const std::vector<float> rows = rows_of_class(fake, labels, k);
    const auto of_class = gaussian_of({rows, kFeatures}, Rows{rows, kFeatures}.count());
    if (of_class && classes_[k]) scores.per_class[k].fd = metrics::frechet_distance(*of_class, *classes_[k]);
    undrawn += !scores.per_class[k].accuracy;
    few += !scores.per_class[k].fd;
  }
  const auto classes = static_cast<std::int64_t>(scores.per_class.size());
  if (undrawn > 0)
    miss(scores, {"per_class.accuracy"},
         fmt::format("no sample of {} of {}", undrawn, base::counted(classes, "class", "classes")));
  if (few > 0)
    miss(scores, {"per_class.fd"},
         fmt::format("{} of {} {} fewer than {} samples or images in the reference", few,
                     base::counted(classes, "class", "classes"), few == 1 ? "has" : "have", kRowsOfFrechet));
}

void Judge::judge_pixels(Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& samples = evaluation.samples;
  const data::Dataset& real = reference_.held_out;
  const std::int64_t width = graph::element_count(real.sample_shape), most = most_images(width);
  const std::int64_t drawn = std::min(samples.count(), most), unseen = std::min({kRowsOfPixels, real.count(), most});
  const std::vector<float> all = pixel_rows(samples, 0, drawn);
  const std::string more = drawn < samples.count() ? " (memory holds no more of this size)" : "";
  // The mean of few rows lies near each of them, which would understate the spread within labels.
  const auto needed = [](const data::Dataset& images) {
    return kFewestRows * std::max<std::int64_t>(images.classes(), 1);
  };
  if (const std::string why = too_few_samples(drawn, needed(samples)); why.empty())
    scores.spread = metrics::spread({all, width}, labels_of_first(samples, drawn));
  else
    miss(scores, {"spread"}, why + more);
  if (const std::string why = too_few_images(unseen, needed(real)); why.empty())
    scores.real_spread = metrics::spread({pixel_rows(real, 0, unseen), width}, labels_of_first(real, unseen));
  else
    miss(scores, {"real_spread"}, why);
  if (const std::string why = too_few_samples(drawn, kFewestRows); why.empty()) {
    const std::vector<double> others = per_pixel(metrics::nearest_other({all, width}), real.sample_shape);
    scores.duplicates =
        static_cast<double>(std::ranges::count_if(others, [](double d) { return d < kDuplicateDistance; })) /
        static_cast<double>(others.size());
  } else {
    miss(scores, {"duplicates"}, why + more);
  }
  judge_copies(evaluation);
}

void Judge::judge_copies(Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& samples = evaluation.samples;
  const data::Dataset& real = reference_.held_out;
  const std::int64_t width = graph::element_count(real.sample_shape),
                     most = std::min(kRowsOfPixels, most_images(width));
  const std::int64_t drawn = std::min(samples.count(), most);
  evaluation.nearest = nearest_images(pixel_rows(samples, 0, drawn), reference_.train);
  // A held-out image that is in the training part too would count as a copy.
  const std::vector<std::uint32_t> not_in_training = data::images_not_in(real, reference_.train);
  scores.reference_in_training = real.count() - static_cast<std::int64_t>(not_in_training.size());
  std::vector<std::uint32_t> unseen;
  std::ranges::set_intersection(not_in_training, distinct_, std::back_inserter(unseen));
  unseen.resize(std::min(unseen.size(), static_cast<std::size_t>(most)));
  const data::Dataset held_out = data::subset(real, unseen);
  if (unseen.empty()) return miss(scores, {"memorization"}, "every image of the reference is in the training part too");
  const std::string has = held_out.count() == real.count()
                              ? base::counted(real.count(), "image")
                              : base::counted(held_out.count(), "different image") + " that the training part lacks";
  if (const std::string why = too_few(drawn, held_out.count(), has, kFewestRows); !why.empty())
    return miss(scores, {"memorization"}, why);
  const std::vector<double> of_samples = per_pixel(evaluation.nearest.distance, real.sample_shape);
  const std::vector<double> of_unseen = per_pixel(
      nearest_images(pixel_rows(held_out, 0, held_out.count()), reference_.train).distance, real.sample_shape);
  scores.memorization = {metrics::median(of_samples), metrics::median(of_unseen),
                         metrics::share_smaller(of_samples, of_unseen)};
}

void Judge::judge_parzen(Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& train = reference_.train;
  const data::Dataset& real = reference_.held_out;
  const std::int64_t width = graph::element_count(real.sample_shape);
  if (const std::string why = why_too_few(scores.samples, kFewestRows); !why.empty())
    return miss(scores, {"parzen"}, why);
  if (train.count() < kFewestRows)
    return miss(scores, {"parzen"},
                fmt::format("training part has {}, needs {}", base::counted(train.count(), "image"), kFewestRows));
  if (std::max(scores.samples, real.count()) > kElements / width)
    return miss(scores, {"parzen"}, "the images are too many or too large for memory");
  const std::int64_t validation = std::min(kValidationRows, train.count());
  const std::vector<float> samples = pixel_rows(evaluation.samples, 0, evaluation.samples.count());
  const std::vector<float> chosen_by = pixel_rows(train, train.count() - validation, validation);
  const std::vector<float> test = pixel_rows(real, 0, real.count());
  scores.parzen = metrics::parzen({samples, width}, {chosen_by, width}, {test, width});
}

void Judge::judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& train = reference_.train;
  const data::Dataset& real = reference_.held_out;
  if (model.condition.empty()) return miss(scores, {"cas"}, "the model is unconditional");
  if (!reads_labels()) return miss(scores, {"cas"}, why_no_classifier_.empty() ? kOneClass : why_no_classifier_);
  if (const std::string why = why_no_classifier(train); !why.empty())
    return miss(scores, {"cas"}, "needs a classifier: " + why);
  if (const std::string why = why_too_few(kFewestRows, kFewestRows); !why.empty()) return miss(scores, {"cas"}, why);
  if (log) log(fmt::format("training a classifier on {}", base::counted(train.count(), "sample")));
  // One sample for each training image, with its label, from another seed than the samples that were scored.
  const data::Dataset samples = draw(model, train.count(), train.rows, options.seed + 1);
  const Classifier classifier = train_classifier(samples, 0, log);
  scores.cas = {accuracy_of(Embedder(classifier).embed(real).classes, real.labels()), *embedding_.accuracy};
}

}  // namespace gan::eval
