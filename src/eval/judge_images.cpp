#include <fmt/core.h>

#include <algorithm>

#include "base/text.h"
#include "eval/judge.h"
#include "eval/missing.h"
#include "eval/pixels.h"

// The scores of images, computed from the features of a network and from pixels.
namespace gan::eval {

using metrics::Rows;

namespace {

constexpr double kPoorAccuracy = 0.5;           // below, a note is added
constexpr std::int64_t kValidationRows = 1000;  // to choose Parzen's sigma
constexpr std::uint64_t kSeedOfKid = 0;         // of random blocks, fixed so that a model's scores are reproducible
constexpr const char* kOneClass = "the data has one class, so there is nothing to tell apart";

}  // namespace

void Judge::judge_features(const Options& options, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const bool labelled = !labels(evaluation.samples).empty();
  if (!embedder_ && !regressor_) {
    if (labelled) miss(scores, {"label_accuracy"}, why_no_classifier_);
    judge_numbers({}, evaluation);
    miss(scores, {"fd", "kid", "precision", "recall", "density", "coverage"}, why_no_classifier_);
    return;
  }
  scores.embedding = embedding_;
  const Embedded drawn = read(evaluation.samples);
  const Rows fake{drawn.features, kFeatures}, real{real_.features, kFeatures};
  judge_numbers(drawn, evaluation);
  if (labelled && !reads_labels()) {
    miss(scores, {"label_accuracy"}, class_column_.categories > 1 ? "needs a classifier" : kOneClass);
  } else if (labelled) {
    count_labels(drawn.classes, labels(evaluation.samples), class_column_.categories, scores);
    judge_classes(fake, evaluation);
    if (*embedding_.accuracy < kPoorAccuracy)
      scores.notes.push_back(
          fmt::format("the classifier is right on {:.0f}% of the reference: label accuracy and scores "
                      "in its features mean little",
                      100 * *embedding_.accuracy));
  }
  scores.fd = all_->distance(fake);
  if (!scores.fd) miss(scores, {"fd"}, why_too_few(fake.count(), kFewestRows));
  if (options.fd_curve) {
    for (const std::int64_t part : {8, 4, 2, 1})
      if (const auto fd = all_->distance(fake.slice(0, fake.count() / part)); fd && fd->few == 0)
        scores.fd_curve.push_back({fake.count() / part, fd->value});
    if (scores.fd_curve.empty()) miss(scores, {"fd_curve"}, why_too_few(fake.count(), kFeatures + 1));
  }
  if (const std::string why = why_too_few(fake.count(), kRowsOfKid); why.empty())
    scores.kid = metrics::kid(real, fake, kSeedOfKid);
  else
    miss(scores, {"kid"}, why);
  judge_coverage(fake, scores);
}

void Judge::judge_classes(const Rows& fake, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const std::span<const std::int32_t> wanted = labels(evaluation.samples);
  std::int64_t undrawn = 0, few = 0;
  for (std::size_t k = 0; k < scores.per_class.size(); ++k) {
    const std::vector<float> rows = rows_of_class(fake, wanted, k);
    scores.per_class[k].fd = classes_[k].distance({rows, kFeatures});
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
                     base::counted(classes, "class", "classes"), few == 1 ? "has" : "have", kFewestRows));
}

void Judge::judge_pixels(Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& samples = evaluation.samples;
  const data::Dataset& real = reference_.held_out;
  const std::int64_t width = graph::element_count(real.sample_shape), most = most_images(width);
  const std::int64_t drawn = std::min(samples.count(), most), unseen = std::min({kMostSearched, real.count(), most});
  const std::vector<float> all = pixel_rows(samples, 0, drawn);
  const std::string more = drawn < samples.count() ? " (memory holds no more of this size)" : "";
  // The mean of few rows lies near each of them, so they would understate the spread within labels.
  const int classes = class_column_.categories;
  const auto needed = [&](const data::Dataset& images) { return kFewestRows * (labels(images).empty() ? 1 : classes); };
  // The labels of the first images; none if there are fewer than two classes.
  const auto labels_of_first = [&](const data::Dataset& images, std::int64_t count) {
    const std::span<const std::int32_t> all = labels(images);
    return all.first(classes < 2 || all.empty() ? 0 : static_cast<std::size_t>(count));
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
    const std::vector<double> others = per_element(metrics::nearest_other({all, width}, *ranks_), width);
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
                     most = std::min(kMostSearched, most_images(width));
  const std::int64_t drawn = std::min(samples.count(), most);
  evaluation.nearest = nearest_images(pixel_rows(samples, 0, drawn), reference_.train, *ranks_);
  if (const std::string why = too_few_samples(drawn, kFewestRows); !why.empty())
    return miss(scores, {"memorization"}, why);
  const std::vector<std::uint32_t> unseen = unseen_samples(drawn, most, scores);
  const data::Dataset held_out = data::subset(real, unseen);
  const std::int64_t shifted = rows_to_shift(reference_.train);
  const auto distances = [&](const data::Dataset& images) {
    return nearest_shifted(images, std::min(shifted, images.count()), reference_.train, *ranks_);
  };
  std::vector<double> of_unseen, shifted_unseen;
  if (!unseen.empty()) {
    of_unseen = per_element(
        nearest_images(pixel_rows(held_out, 0, held_out.count()), reference_.train, *ranks_).distance, width);
    shifted_unseen = distances(held_out);
  }
  scores.memorization = memorization(per_element(evaluation.nearest.distance, width), of_unseen, distances(samples),
                                     shifted_unseen, kDuplicateDistance);
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
  if (std::max(scores.samples, real.count()) > most_images(width))
    return miss(scores, {"parzen"}, "the images are too many or too large for memory");
  const std::int64_t validation = std::min(kValidationRows, train.count());
  const std::vector<float> samples = pixel_rows(evaluation.samples, 0, evaluation.samples.count());
  const std::vector<float> chosen_by = pixel_rows(train, train.count() - validation, validation);
  const std::vector<float> test = pixel_rows(real, 0, real.count());
  scores.parzen = metrics::parzen({samples, width}, {chosen_by, width}, {test, width}, *ranks_);
}

void Judge::judge_cas(const train::Model& model, const Options& options, Evaluation& evaluation, const Log& log) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& train = reference_.train;
  const data::Dataset& real = reference_.held_out;
  if (model.condition.empty()) return miss(scores, {"cas"}, "the model is unconditional");
  if (labels(evaluation.samples).empty()) return miss(scores, {"cas"}, "the model takes no classes");
  if (!reads_labels()) return miss(scores, {"cas"}, why_no_classifier_.empty() ? kOneClass : why_no_classifier_);
  if (const std::string why = why_no_classifier(train); !why.empty())
    return miss(scores, {"cas"}, "needs a classifier: " + why);
  if (const std::string why = why_too_few(kFewestRows, kFewestRows); !why.empty()) return miss(scores, {"cas"}, why);
  if (log) log(fmt::format("training a classifier on {}", base::counted(train.count(), "sample")));
  // Draws one sample for each training image, with its label, by another seed than for the samples that are scored.
  data::Dataset wanted = conditions_of(train, model);
  wanted.items = train.count();
  const data::Dataset samples = draw_with(model, wanted, options.seed + 1);
  if (ranks_->rank() > 0) return;  // only rank 0 trains networks
  const Classifier classifier = train_classifier(samples, 0, log);
  scores.cas = {accuracy_of(Embedder(classifier).embed(real).classes, labels(real)), *embedding_.accuracy};
}

}  // namespace gan::eval
