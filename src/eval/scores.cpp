#include "eval/scores.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "eval/draw.h"
#include "metrics/modes.h"

namespace gan::eval {

using metrics::Rows;

namespace {

constexpr std::int64_t kImages = 10'000, kPoints = 2'500;
constexpr std::int64_t kRowsOfPrdc = 5000;
constexpr int kNeighbours = 5;
constexpr std::uint64_t kSeed = 0;              // of the random rows: scores of one model are to stay the same
constexpr std::int64_t kRowsOfPixels = 5000;    // more change the second digit of a median no longer
constexpr std::int64_t kNumbers = 1 << 26;      // of pixels held as floats at a time: 256 MB
constexpr std::int64_t kValidationRows = 1000;  // of Parzen's sigma

/// Values of images [first, first + count) as rows [count, C*H*W] of pixels in [0, 1].
std::vector<float> pixel_rows(const data::Dataset& images, std::int64_t first, std::int64_t count) {
  const std::int64_t size = graph::element_count(images.sample_shape);
  const std::uint8_t* bytes = images.pixels.get() + first * size;
  std::vector<float> values(static_cast<std::size_t>(count * size));
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<float>(bytes[i]) / 255;
  return values;
}

/// The rows of `features` whose label is `k`.
std::vector<float> rows_of_class(const Rows& features, const std::vector<std::uint8_t>& labels, std::size_t k) {
  std::vector<float> chosen;
  for (std::int64_t i = 0; i < features.count(); ++i) {
    if (labels[static_cast<std::size_t>(i)] != k) continue;
    chosen.insert(chosen.end(), features.row(i).begin(), features.row(i).end());
  }
  return chosen;
}

/// None for rows that do not exceed the features, whose covariance says nothing.
std::optional<metrics::Gaussian> gaussian_of(const std::vector<float>& features) {
  const Rows rows{features, kFeatures};
  if (rows.count() <= kFeatures) return std::nullopt;
  return metrics::fit_gaussian(rows);
}

double accuracy_of(const std::vector<std::int32_t>& read, const std::vector<std::uint8_t>& labels) {
  std::int64_t right = 0;
  for (std::size_t i = 0; i < labels.size(); ++i) right += read[i] == labels[i];
  return static_cast<double>(right) / static_cast<double>(labels.size());
}

/// Label accuracy, overall and of each class, and the confusions.
void count_labels(const std::vector<std::int32_t>& read, const std::vector<std::uint8_t>& asked, int classes,
                  Scores& scores) {
  const auto count = static_cast<std::size_t>(classes);
  scores.confusion.assign(count, std::vector<std::int64_t>(count));
  for (std::size_t i = 0; i < asked.size(); ++i) ++scores.confusion[asked[i]][static_cast<std::size_t>(read[i])];
  scores.label_accuracy = accuracy_of(read, asked);
  for (std::size_t k = 0; k < count; ++k) {
    std::int64_t drawn = 0;
    for (const std::int64_t samples : scores.confusion[k]) drawn += samples;
    Scores::Class& of_class = scores.per_class.emplace_back();
    of_class.accuracy =
        static_cast<double>(scores.confusion[k][k]) / static_cast<double>(std::max<std::int64_t>(drawn, 1));
  }
}

/// Distances as root mean square differences.
std::vector<double> per_pixel(std::vector<double> distances, const graph::Shape& shape) {
  const double scale = 1 / std::sqrt(static_cast<double>(graph::element_count(shape)));
  for (double& distance : distances) distance *= scale;
  return distances;
}

metrics::Nearest nearest_images(const std::vector<float>& rows, const data::Dataset& images) {
  const std::int64_t width = graph::element_count(images.sample_shape);
  const std::int64_t rows_of_piece = std::clamp<std::int64_t>(kNumbers / 16 / width, 16, 4096);
  metrics::Nearest nearest;
  for (std::int64_t first = 0; first < images.count(); first += rows_of_piece) {
    const std::vector<float> piece = pixel_rows(images, first, std::min(rows_of_piece, images.count() - first));
    metrics::find_nearest({rows, width}, {piece, width}, first, nearest);
  }
  return nearest;
}

}  // namespace

double joint_score(const Scores& scores) {
  std::vector<double> parts;
  if (scores.label_accuracy) parts.push_back(*scores.label_accuracy);
  if (scores.prdc) parts.push_back(scores.prdc->coverage);
  if (scores.modes) {
    parts.push_back(static_cast<double>(scores.modes->found) / static_cast<double>(scores.modes->of));
    parts.push_back(scores.modes->high_quality);
  }
  double inverses = 0;
  for (const double part : parts) {
    if (part <= 0) return 0;
    inverses += 1 / part;
  }
  return parts.empty() ? 0 : static_cast<double>(parts.size()) / inverses;
}

Judge::Judge(Reference reference, std::optional<Classifier> classifier)
    : reference_(std::move(reference)), classifier_(std::move(classifier)) {
  const data::Dataset& real = reference_.held_out;
  if (!real.is_image()) {
    if (real.modes.empty())
      base::fail_usage("{}: vectors whose modes are not known; there is nothing to judge them by", real.source);
    return;
  }
  if (!classifier_) base::fail_usage("{}: images need a classifier to judge by", real.source);
  if (real.classes > 0 && classifier_->classes != real.classes)
    base::fail_usage("{}: {} classes; the embedding tells {} apart", real.source, real.classes, classifier_->classes);
  embedder_ = std::make_unique<Embedder>(*classifier_);
  real_ = embedder_->embed(real);
  embedding_ = {hash_of(*classifier_), std::nullopt, kFeatures};
  if (!real.labels.empty()) embedding_.accuracy = accuracy_of(real_.classes, real.labels);
  gaussian_ = gaussian_of(real_.features);
  for (int k = 0; k < real.classes; ++k)
    classes_.push_back(
        gaussian_of(rows_of_class({real_.features, kFeatures}, real.labels, static_cast<std::size_t>(k))));
}

void require_fit(const train::Model& model, const Reference& reference, std::int64_t count) {
  const data::Dataset& real = reference.held_out;
  if (model.sample_shape != real.sample_shape)
    base::fail_usage("the model draws samples of {}, {} has {}; give the data it was trained on",
                     graph::to_string(model.sample_shape), real.source, graph::to_string(real.sample_shape));
  if (model.conditional && real.classes == 0)
    base::fail_usage("the model takes labels and {} has none; give the data it was trained on", real.source);
  if (model.conditional && model.classes != real.classes)
    base::fail_usage("the model has {} classes, {} has {}; give the data it was trained on", model.classes, real.source,
                     real.classes);
  if (real.is_image() && count > 0 && count <= kFeatures)
    base::fail_usage(
        "{} samples for {} features; a Frechet distance needs more samples than features, at least --count {}", count,
        kFeatures, kFeatures + 1);
}

Evaluation Judge::evaluate(const train::Model& model, const Options& options, const Log& log) {
  const auto start = std::chrono::steady_clock::now();
  const data::Dataset& real = reference_.held_out;
  const std::int64_t count = options.count > 0 ? options.count : real.is_image() ? kImages : kPoints;
  require_fit(model, reference_, count);
  Evaluation evaluation;
  Scores& scores = evaluation.scores;
  scores.steps = model.steps;
  scores.data = real.source;
  scores.data_hash = reference_.hash;
  scores.reference = reference_.name;
  scores.reference_count = real.count();
  scores.samples = count;
  scores.seed = options.seed;
  if (model.conditional)
    scores.class_names = model.class_names;
  else
    scores.notes.push_back("the model is unconditional: no label accuracy");
  std::vector<std::uint8_t> labels;
  for (std::int64_t i = 0; model.conditional && i < count; ++i)
    labels.push_back(static_cast<std::uint8_t>(i % model.classes));
  evaluation.samples = draw(model, count, labels, options.seed);
  if (!real.is_image()) {
    judge_vectors(model, evaluation);
  } else {
    judge_features(model, options, evaluation);
    if (options.pixels) judge_pixels(evaluation);
    if (options.parzen) judge_parzen(evaluation);
    if (options.cas) judge_cas(model, options, evaluation, log);
  }
  // Without labels another hash says nothing: they are part of it.
  if (real.is_image() && model.conditional && model.data_hash != reference_.hash)
    scores.notes.push_back(fmt::format("the model was trained on other data ({})", model.data_name));
  scores.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

void Judge::judge_vectors(const train::Model& model, Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  const std::int64_t width = real.sample_shape[0];
  const metrics::ModeCount count = metrics::count_modes({evaluation.samples.points, width}, {real.modes, width},
                                                        static_cast<double>(real.mode_deviation));
  const std::int64_t modes = static_cast<std::int64_t>(real.modes.size()) / width;
  evaluation.scores.modes = {count.found, modes, count.high_quality};
  // Labels of made-up points are the numbers of their modes.
  if (model.conditional && modes == model.classes)
    count_labels(count.nearest, evaluation.samples.labels, model.classes, evaluation.scores);
}

void Judge::judge_features(const train::Model& model, const Options& options, Evaluation& evaluation) {
  Scores& scores = evaluation.scores;
  scores.embedding = embedding_;
  const Embedded drawn = embedder_->embed(evaluation.samples);
  const Rows fake{drawn.features, kFeatures}, real{real_.features, kFeatures};
  if (model.conditional) {
    count_labels(drawn.classes, evaluation.samples.labels, model.classes, scores);
    for (std::size_t k = 0; k < classes_.size(); ++k) {
      const auto of_class = gaussian_of(rows_of_class(fake, evaluation.samples.labels, k));
      if (of_class && classes_[k]) scores.per_class[k].fd = metrics::frechet_distance(*of_class, *classes_[k]);
    }
  }
  if (gaussian_) {
    scores.fd = metrics::frechet_distance(metrics::fit_gaussian(fake), *gaussian_);
    for (const std::int64_t part : {8, 4, 2, 1})
      if (const std::int64_t count = fake.count() / part; options.fd_curve && count > kFeatures)
        scores.fd_curve.push_back(
            {count, metrics::frechet_distance(metrics::fit_gaussian(fake.slice(0, count)), *gaussian_)});
  } else {
    scores.notes.push_back(fmt::format("no Frechet distance: the reference has {} images, fewer than {} features + 1",
                                       real.count(), kFeatures));
  }
  if (real.count() > kNeighbours) {
    scores.kid = metrics::kid(real, fake, kSeed);
    const std::vector<float> real_rows = metrics::choose_rows(real, kRowsOfPrdc, kSeed);
    const std::vector<float> fake_rows = metrics::choose_rows(fake, kRowsOfPrdc, kSeed + 1);
    scores.prdc = metrics::prdc({real_rows, kFeatures}, {fake_rows, kFeatures}, kNeighbours);
  } else {
    scores.notes.push_back(
        fmt::format("no KID, precision, recall, density, coverage: the reference has {} images", real.count()));
  }
}

void Judge::judge_pixels(Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const graph::Shape& shape = reference_.held_out.sample_shape;
  const std::int64_t width = graph::element_count(shape);
  const data::Dataset& samples = evaluation.samples;
  const data::Dataset& real = reference_.held_out;
  const std::int64_t most = std::max<std::int64_t>(kNumbers / width, 2);
  const std::vector<float> all = pixel_rows(samples, 0, std::min(samples.count(), most));
  const std::vector<float> unseen = pixel_rows(real, 0, std::min({kRowsOfPixels, real.count(), most}));
  const auto spread = [&](const std::vector<float>& pixels, std::span<const std::uint8_t> labels) {
    return metrics::spread({pixels, width},
                           labels.subspan(0, labels.empty() ? 0 : pixels.size() / static_cast<std::size_t>(width)));
  };
  scores.spread = spread(all, samples.labels);
  scores.real_spread = spread(unseen, real.labels);
  const std::vector<double> others = per_pixel(metrics::nearest_other({all, width}), shape);
  scores.duplicates =
      static_cast<double>(std::ranges::count_if(others, [](double d) { return d < kDuplicateDistance; })) /
      static_cast<double>(others.size());
  const std::vector<float> some = pixel_rows(samples, 0, std::min({kRowsOfPixels, samples.count(), most}));
  evaluation.nearest = nearest_images(some, reference_.train);
  const std::vector<double> of_samples = per_pixel(evaluation.nearest.distance, shape);
  const std::vector<double> of_unseen = per_pixel(nearest_images(unseen, reference_.train).distance, shape);
  scores.memorization = {metrics::median(of_samples), metrics::median(of_unseen),
                         metrics::share_smaller(of_samples, of_unseen)};
}

void Judge::judge_parzen(Evaluation& evaluation) const {
  const std::int64_t width = graph::element_count(reference_.held_out.sample_shape);
  const data::Dataset& train = reference_.train;
  if (reference_.held_out.count() < 2) {
    evaluation.scores.notes.push_back("no Parzen estimate: the reference has one image");
    return;
  }
  if (std::max(evaluation.scores.samples, reference_.held_out.count()) > kNumbers / width) {
    evaluation.scores.notes.push_back("no Parzen estimate: the images are too many or too large for memory");
    return;
  }
  const std::int64_t validation = std::min(kValidationRows, train.count());
  const std::vector<float> samples = pixel_rows(evaluation.samples, 0, evaluation.samples.count());
  const std::vector<float> chosen_by = pixel_rows(train, train.count() - validation, validation);
  const std::vector<float> test = pixel_rows(reference_.held_out, 0, reference_.held_out.count());
  evaluation.scores.parzen = metrics::parzen({samples, width}, {chosen_by, width}, {test, width});
}

void Judge::judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const {
  const data::Dataset& train = reference_.train;
  if (!model.conditional) {
    evaluation.scores.notes.push_back("no CAS: the model is unconditional");
    return;
  }
  if (log)
    log(fmt::format("training a classifier on {} samples", base::grouped(static_cast<std::uint64_t>(train.count()))));
  // As many samples as there are training images, of the same classes; of another seed than those that are looked at.
  const data::Dataset samples = draw(model, train.count(), train.labels, options.seed + 1);
  const Classifier classifier = train_classifier(samples, 0, log);
  const data::Dataset& real = reference_.held_out;
  evaluation.scores.cas = {accuracy_of(Embedder(classifier).embed(real).classes, real.labels), *embedding_.accuracy};
}

}  // namespace gan::eval
