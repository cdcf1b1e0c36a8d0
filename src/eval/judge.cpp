#include "eval/judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <numbers>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/repeats.h"
#include "data/shuffle.h"
#include "eval/draw.h"
#include "eval/pixels.h"
#include "metrics/kolmogorov_smirnov.h"
#include "metrics/modes.h"
#include "metrics/two_sample.h"

namespace gan::eval {

using metrics::Rows;

namespace {

constexpr std::int64_t kImages = 10'000, kPoints = 2'500, kOnCircle = kFewestRows * kAngles;
constexpr std::int64_t kRowsOfPrdc = 5000;
constexpr int kMostConfusions = 256;
constexpr double kPoorAccuracy = 0.5;           // a worse classifier gets a note
constexpr std::uint64_t kSeed = 0;              // of the random rows, fixed so that a model's scores do not change
constexpr std::int64_t kRowsOfPixels = 5000;    // more rows do not change two digits of a median
constexpr std::int64_t kValidationRows = 1000;  // to choose Parzen's sigma
constexpr std::int64_t kMostCorrelated = 1000;  // columns
constexpr std::size_t kNamedClasses = 10;
constexpr std::int64_t kWindows = 10;  // of a reference, along a number, without the overlapping ones between them
constexpr int kCircleDeviations = 4;   // as in CcGAN (Ding et al. 2021)
constexpr const char* kOneClass = "the data has one class, so there is nothing to tell apart";

/// The rows of `features` whose label is `k`.
std::vector<float> rows_of_class(const Rows& features, std::span<const std::int32_t> labels, std::size_t k) {
  std::vector<float> chosen;
  for (std::int64_t i = 0; i < features.count(); ++i) {
    if (labels[static_cast<std::size_t>(i)] != static_cast<std::int32_t>(k)) continue;
    chosen.insert(chosen.end(), features.row(i).begin(), features.row(i).end());
  }
  return chosen;
}

/// The rows of these indices.
std::vector<float> rows_of(const Rows& rows, const std::vector<std::uint32_t>& indices) {
  std::vector<float> chosen;
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

/// Ascending indices of the vectors that differ from every vector before them.
std::vector<std::uint32_t> distinct_vectors(const data::Dataset& vectors) {
  const Rows rows{vectors.points, vectors.sample_shape[0]};
  std::vector<std::uint32_t> indices(static_cast<std::size_t>(rows.count()));
  std::iota(indices.begin(), indices.end(), 0U);
  const auto less = [&](std::uint32_t a, std::uint32_t b) {
    return std::ranges::lexicographical_compare(rows.row(a), rows.row(b));
  };
  std::ranges::stable_sort(indices, less);
  const auto [end, last] = std::ranges::unique(
      indices, [&](std::uint32_t a, std::uint32_t b) { return std::ranges::equal(rows.row(a), rows.row(b)); });
  indices.erase(end, last);
  std::ranges::sort(indices);
  return indices;
}

/// The difference of two numbers, of periodic ones around the circle.
double difference(const data::NumberColumn& column, float a, float b) {
  const double far = static_cast<double>(a) - static_cast<double>(b);
  return std::abs(column.period > 0 ? std::remainder(far, column.period) : far);
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

/// What distances to the nearest training sample say of copies: all of them of samples and of held-out ones, and those
/// for `copies`, which may be shifted. Without held-out ones nothing is compared with.
Scores::Memorization memorization(const std::vector<double>& samples, const std::vector<double>& held_out,
                                  const std::vector<double>& shifted_samples,
                                  const std::vector<double>& shifted_held_out, double duplicate) {
  Scores::Memorization result;
  result.samples_median = metrics::median(samples);
  result.limit = duplicate;
  const auto share_within = [&](const std::vector<double>& distances) {
    return static_cast<double>(std::ranges::count_if(distances, [&](double d) { return d <= result.limit; })) /
           static_cast<double>(distances.size());
  };
  if (!held_out.empty()) {
    result.held_out_median = metrics::median(held_out);
    result.share_closer = metrics::share_smaller(samples, held_out);
    // A network draws a copy less than exactly: three times closer than real images are is close.
    result.limit = std::max(result.limit, metrics::median(shifted_held_out) / 3);
    result.held_out_copies = share_within(shifted_held_out);
  }
  result.copies = share_within(shifted_samples);
  return result;
}

}  // namespace

Judge::Judge(Reference reference, Networks networks)
    : reference_(std::move(reference)), classifier_(std::move(networks.embedding)) {
  const std::optional<Classifier>& regressor = networks.regressor;
  const data::Dataset& real = reference_.held_out;
  class_column_.name = "";
  if (const int c = class_column(real.condition); c >= 0)
    class_column_ = real.condition.columns[static_cast<std::size_t>(c)];
  if (!real.is_image()) {
    distinct_ = distinct_vectors(real);
    why_no_numbers_ = too_few(Neighbours::kNearest, reference_.train.count(),
                              base::counted(reference_.train.count(), "training row"), Neighbours::kNearest);
    if (!real.modes.empty() || !why_no_numbers_.empty()) return;
    neighbours_ = std::make_unique<Neighbours>(reference_.train);
    numbers_ = neighbours_->numbers();
    real_ = neighbours_->read(real);
    judge_reference();
    return;
  }
  distinct_ = data::distinct_images(real);
  why_no_numbers_ = "needs a regressor";
  if (const std::string why = why_no_regressor(reference_.train); !why.empty()) why_no_numbers_ += ": " + why;
  if (regressor) {
    regressor_ = std::make_unique<Embedder>(*regressor);
    numbers_ = regressor->numbers;
  }
  if (!classifier_ && !regressor) {
    why_no_classifier_ = "needs a classifier";
    if (const std::string why = why_no_classifier(reference_.train); !why.empty()) why_no_classifier_ += ": " + why;
    return;
  }
  const int classes = class_column_.categories;
  if (classifier_ && !classifier_->exemplars && classes > 1 && classifier_->classes != classes)
    base::fail_usage("{}: {}; the embedding's classifier has {}", real.source,
                     base::counted(classes, "class", "classes"), classifier_->classes);
  if (classifier_) embedder_ = std::make_unique<Embedder>(*classifier_);
  real_ = read(real);
  embedding_ = {.hash = hash_of(classifier_ ? *classifier_ : *regressor),
                .exemplars = classifier_ && classifier_->exemplars,
                .accuracy = std::nullopt,
                .width = kFeatures};
  if (reads_labels()) embedding_.accuracy = accuracy_of(real_.classes, labels(real));
  judge_reference();
}

void Judge::judge_reference() {
  const data::Dataset& real = reference_.held_out;
  own_errors_ = errors_of(real_.numbers, real);
  for (const data::NumberColumn& number : numbers_) {
    std::set<float>& unseen = unseen_.emplace_back();
    const int c = reference_.train.condition.find(number.name), own = real.condition.find(number.name);
    if (c < 0 || own < 0) continue;
    const std::span<const float> all = reference_.train.rows.numbers(static_cast<std::size_t>(c));
    const std::set<float> seen(all.begin(), all.end());
    if (2 * seen.size() > all.size()) continue;  // values do not repeat: nearly all would be unseen
    for (const float value : real.rows.numbers(static_cast<std::size_t>(own)))
      if (!seen.contains(value)) unseen.insert(value);
  }
  const Rows features{real_.features, width_of(real)};
  all_.emplace(features, rows_of(features, distinct_));
  std::vector<std::vector<std::uint32_t>> of_class(
      static_cast<std::size_t>(reads_labels() ? class_column_.categories : 0));
  if (!of_class.empty())
    for (const std::uint32_t index : distinct_)
      of_class[static_cast<std::size_t>(labels(real)[index])].push_back(index);
  for (std::size_t k = 0; k < of_class.size(); ++k) {
    const std::vector<float> rows = rows_of_class(features, labels(real), k);
    classes_.emplace_back(Rows{rows, features.width}, rows_of(features, of_class[k]));
  }
}

std::int64_t Judge::width_of(const data::Dataset& samples) const {
  return neighbours_ ? samples.sample_shape[0] : kFeatures;
}

Embedded Judge::read(const data::Dataset& samples) const {
  if (neighbours_) return neighbours_->read(samples);
  if (!embedder_) return regressor_->embed(samples);
  Embedded result = embedder_->embed(samples);
  if (regressor_) result.numbers = regressor_->embed(samples).numbers;
  return result;
}

std::vector<double> Judge::errors_of(const std::vector<float>& numbers, const data::Dataset& samples,
                                     bool unseen) const {
  std::vector<double> errors;
  for (std::size_t c = 0; c < numbers_.size(); ++c) {
    errors.push_back(std::numeric_limits<double>::quiet_NaN());
    const int column = samples.condition.find(numbers_[c].name);
    if (column < 0) continue;
    const std::span<const float> wanted = samples.rows.numbers(static_cast<std::size_t>(column));
    double sum = 0;
    std::int64_t count = 0;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (unseen && !unseen_[c].contains(wanted[i])) continue;
      sum += difference(numbers_[c], numbers[i * numbers_.size() + c], wanted[i]);
      ++count;
    }
    if (count > 0) errors.back() = sum / static_cast<double>(count);
  }
  return errors;
}

std::span<const std::int32_t> Judge::labels(const data::Dataset& dataset) const {
  const int c = class_column_.name.empty() ? -1 : dataset.condition.find(class_column_.name);
  return c < 0 ? std::span<const std::int32_t>() : dataset.rows.categories(static_cast<std::size_t>(c));
}

bool Judge::on_circle(const data::ConditionSpec& condition) const {
  return reference_.held_out.circle_radius > 0 && condition.columns.size() == 1 && condition.columns[0].is_numeric();
}

bool Judge::reads_labels() const {
  return classifier_ && !classifier_->exemplars && classifier_->classes > 0 &&
         classifier_->classes == class_column_.categories;
}

std::string Judge::why_too_few(std::int64_t samples, std::int64_t needed) const {
  const data::Dataset& real = reference_.held_out;
  const auto distinct = static_cast<std::int64_t>(distinct_.size());
  std::string has = base::counted(real.count(), real.is_image() ? "image" : "row");
  if (distinct < real.count()) has = fmt::format("{}, {} different", has, distinct);
  return too_few(samples, distinct, has, needed);
}

std::string Judge::why_no_score(std::int64_t samples) const {
  const data::Dataset& real = reference_.held_out;
  if (real.is_image()) return embedder_ || regressor_ ? why_too_few(samples, kRowsOfCoverage) : why_no_classifier_;
  if (!real.modes.empty()) return too_few_samples(samples, kFewestRows * mode_count(real));
  if (on_circle(real.condition)) return too_few_samples(samples, kOnCircle);
  return too_few(samples, real.count(), base::counted(real.count(), "row"), kFewestRows);
}

data::Dataset Judge::conditions_of(const data::Dataset& part, const train::Model& model) const {
  data::Dataset wanted;
  wanted.source = part.source;
  for (std::size_t c = 0; c < part.condition.columns.size(); ++c) {
    if (model.condition.find(part.condition.columns[c].name) < 0) continue;
    wanted.condition.columns.push_back(part.condition.columns[c]);
    wanted.rows.columns.push_back(part.rows.columns[c]);
  }
  return wanted;
}

data::Dataset Judge::conditions(const train::Model& model, const Options& options) const {
  const data::Dataset& real = reference_.held_out;
  const std::int64_t usual = real.is_image() ? kImages : on_circle(model.condition) ? kOnCircle : kPoints;
  const std::int64_t count = options.count > 0 ? options.count : usual;
  data::Dataset wanted = conditions_of(real, model);
  wanted.items = count;
  if (on_circle(wanted.condition)) {
    const data::NumberColumn& number = wanted.condition.columns[0].number;
    const double turn = number.period > 0 ? number.period : 360;
    const double shift = turn / static_cast<double>(std::max<std::int64_t>(number.distinct, 1)) / 2;
    std::vector<float> angles;
    for (std::int64_t i = 0; i < count; ++i)
      angles.push_back(static_cast<float>(std::fmod(turn * static_cast<double>(i % kAngles) / kAngles + shift, turn)));
    wanted.rows.columns[0] = std::move(angles);
  } else if (wanted.condition.classes() > 0 && (options.even_shares || !real.modes.empty())) {
    wanted.rows = data::values_in_turn(wanted.condition, count);
  } else {
    // In random order, as the first of sorted data are not like the rest.
    data::Shuffle shuffle(static_cast<std::uint32_t>(real.count()), kSeed);
    const std::span<const std::uint32_t> order = shuffle.epoch(0);
    std::vector<std::uint32_t> chosen;
    for (std::int64_t i = 0; i < count; ++i) chosen.push_back(order[static_cast<std::size_t>(i % real.count())]);
    wanted.rows = wanted.rows.select(chosen);
  }
  return wanted;
}

data::Dataset Judge::draw_with(const train::Model& model, const data::Dataset& wanted, std::uint64_t seed) const {
  data::Dataset aligned = wanted;
  if (!model.condition.empty()) data::align_condition(aligned, model.condition);
  data::Dataset samples = draw(model, wanted.count(), aligned.rows, seed);
  samples.condition = wanted.condition;
  samples.rows = wanted.rows;
  return samples;
}

Evaluation Judge::evaluate(const train::Model& model, const Options& options, const Log& log) {
  const auto start = std::chrono::steady_clock::now();
  const data::Dataset& real = reference_.held_out;
  require_fit(model, reference_);
  Evaluation evaluation =
      judge_samples(draw_with(model, conditions(model, options), options.seed), "the model is unconditional", options);
  Scores& scores = evaluation.scores;
  scores.steps = model.steps;
  scores.seed = options.seed;
  note_classes(model, options, evaluation);
  if (real.is_image() && options.cas) judge_cas(model, options, evaluation, log);
  // For an unconditional model the hash may differ just because it includes the labels.
  const bool synthetic = !real.modes.empty() || real.circle_radius > 0;
  if (!synthetic && !model.condition.empty() && model.data_hash != reference_.hash)
    scores.notes.push_back(fmt::format("the model was trained on other data ({})", model.data_name));
  scores.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

Evaluation Judge::judge(data::Dataset samples, const Options& options) const {
  const auto start = std::chrono::steady_clock::now();
  const data::Dataset& real = reference_.held_out;
  if (samples.sample_shape != real.sample_shape)
    base::fail_usage("{} has samples {}, {} has {}", samples.source, graph::to_string(samples.sample_shape),
                     real.source, graph::to_string(real.sample_shape));
  data::convert_units(samples, real.units);
  data::ConditionSpec common;
  for (const data::ConditionColumn& column : real.condition.columns)
    if (samples.condition.find(column.name) >= 0) common.columns.push_back(column);
  if (common.empty()) {
    samples.condition = {};
    samples.rows = {};
  } else {
    data::align_condition(samples, common);
  }
  Evaluation evaluation =
      judge_samples(std::move(samples), "samples are for no class or number of the reference", options);
  evaluation.scores.drawn = Scores::Drawn::elsewhere;
  if (!labels(evaluation.samples).empty()) evaluation.scores.class_names = class_column_.names;
  evaluation.scores.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  return evaluation;
}

Evaluation Judge::judge_samples(data::Dataset samples, const char* why_unconditional, const Options& options) const {
  const data::Dataset& real = reference_.held_out;
  Evaluation evaluation;
  Scores& scores = evaluation.scores;
  scores.data = real.source;
  scores.data_hash = reference_.hash;
  scores.reference = reference_.name;
  scores.reference_count = real.count();
  scores.reference_distinct = static_cast<std::int64_t>(distinct_.size());
  scores.samples = samples.count();
  evaluation.samples = std::move(samples);
  if (evaluation.samples.condition.empty()) miss(scores, {"label_accuracy"}, why_unconditional);
  if (real.is_image()) {
    judge_features(options, evaluation);
    if (options.pixels) judge_pixels(evaluation);
    if (options.parzen) judge_parzen(evaluation);
  } else if (!real.modes.empty()) {
    judge_modes(evaluation);
  } else if (on_circle(evaluation.samples.condition)) {
    judge_circle(evaluation);
  } else {
    judge_vectors(options, evaluation);
  }
  if (!joint_score(scores))
    miss(scores, {"score"},
         real.is_image()                                                  ? "needs coverage"
         : !real.modes.empty() || on_circle(evaluation.samples.condition) ? "needs modes"
                                                                          : "needs the distances of columns");
  if (distinct_.size() == 1 && real.count() > 1)
    scores.notes.push_back(fmt::format("the reference is {} copies of one sample: nothing can be compared with it",
                                       base::grouped(static_cast<std::uint64_t>(real.count()))));
  else if (static_cast<std::int64_t>(distinct_.size()) < kRowsOfCoverage && !reference_.advice.empty())
    scores.notes.push_back(fmt::format("the reference is small: {} compares with more", reference_.advice));
  return evaluation;
}

void Judge::note_classes(const train::Model& model, const Options& options, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::ConditionSpec& wanted = evaluation.samples.condition;
  if (model.condition.empty()) return;
  if (!labels(evaluation.samples).empty()) scores.class_names = class_column_.names;
  const bool evenly = wanted.classes() > 0 && (options.even_shares || !reference_.held_out.modes.empty());
  scores.drawn = evenly ? Scores::Drawn::evenly : Scores::Drawn::as_reference;
  for (const data::ConditionColumn& column : model.condition.columns) {
    if (column.is_numeric()) continue;
    const data::ConditionColumn& own = wanted.columns[static_cast<std::size_t>(wanted.find(column.name))];
    std::set<std::string> there;
    for (std::int32_t k = 0; k < own.categories; ++k) there.insert(own.name_of(k));
    std::vector<std::string> lacking;
    for (std::int32_t k = 0; k < column.categories; ++k)
      if (!there.contains(column.name_of(k))) lacking.push_back(column.name_of(k));
    if (lacking.empty()) continue;
    const std::size_t more = lacking.size() - std::min(lacking.size(), kNamedClasses);
    lacking.resize(lacking.size() - more);
    scores.notes.push_back(fmt::format("{} of the model that the reference lacks, and that are not scored: {}{}",
                                       column.name, base::joined(lacking),
                                       more > 0 ? fmt::format(" and {} more", more) : ""));
  }
}

void Judge::judge_modes(Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  const std::int64_t width = real.sample_shape[0], modes = mode_count(real);
  const metrics::ModeCount count = metrics::count_modes({evaluation.samples.points, width}, {real.modes, width},
                                                        static_cast<double>(real.mode_deviation));
  // The label of a synthetic point is the index of its mode.
  if (const auto wanted = labels(evaluation.samples); !wanted.empty() && modes == class_column_.categories)
    count_labels(count.nearest, wanted, class_column_.categories, scores);
  if (const std::string why = why_no_score(scores.samples); why.empty())
    scores.modes = {count.found, modes, count.high_quality};
  else
    miss(scores, {"modes"}, why);
}

void Judge::judge_circle(Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  if (const std::string why = too_few_samples(scores.samples, kOnCircle); !why.empty())
    return miss(scores, {"modes"}, why);
  const double period = evaluation.samples.condition.columns[0].number.period, turn = period > 0 ? period : 360;
  const std::span<const float> angles = evaluation.samples.rows.numbers(0);
  std::vector<bool> found(kAngles);
  std::int64_t good = 0;
  for (std::size_t i = 0; i < angles.size(); ++i) {
    const double angle = 2 * std::numbers::pi * static_cast<double>(angles[i]) / turn;
    const auto radius = static_cast<double>(real.circle_radius);
    const double x = static_cast<double>(evaluation.samples.points[2 * i]) - radius * std::cos(angle);
    const double y = static_cast<double>(evaluation.samples.points[2 * i + 1]) - radius * std::sin(angle);
    if (std::hypot(x, y) > kCircleDeviations * static_cast<double>(real.mode_deviation)) continue;
    ++good;
    found[i % kAngles] = true;
  }
  scores.modes = {std::ranges::count(found, true), kAngles,
                  static_cast<double>(good) / static_cast<double>(scores.samples), kCircleDeviations};
}

void Judge::judge_vectors(const Options& options, Evaluation& evaluation) const {
  const data::Dataset& real = reference_.held_out;
  Scores& scores = evaluation.scores;
  const std::int64_t width = real.sample_shape[0];
  const std::string why = too_few(scores.samples, real.count(), base::counted(real.count(), "row"), kFewestRows);
  if (!why.empty()) {
    miss(scores, {"columns", "correlations"}, why);
  } else {
    scores.columns = compare_columns(real, evaluation.samples);
    scores.chance_distance = metrics::kolmogorov_smirnov_chance(real.count(), scores.samples);
    if (neighbours_)
      scores.two_sample_auc =
          metrics::two_sample_auc({real_.features, width}, {neighbours_->standardized(evaluation.samples), width});
    if (width <= kMostCorrelated)
      scores.correlations = compare_correlations(real, evaluation.samples);
    else
      miss(scores, {"correlations"}, fmt::format("{} columns, at most {} are compared", width, kMostCorrelated));
  }
  if (!neighbours_)
    return miss(scores, {"precision", "recall", "density", "coverage", "duplicates", "memorization"}, why_no_numbers_);
  const Embedded drawn = read(evaluation.samples);
  if (const auto wanted = labels(evaluation.samples); !wanted.empty() && class_column_.categories > 1) {
    count_labels(drawn.classes, wanted, class_column_.categories, scores);
    scores.own_label_accuracy = accuracy_of(real_.classes, labels(real));
  }
  judge_numbers(drawn, evaluation);
  judge_coverage({drawn.features, width}, scores);
  if (options.pixels) judge_copies_of_vectors({drawn.features, width}, evaluation);
}

void Judge::judge_numbers(const Embedded& drawn, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::Dataset& samples = evaluation.samples;
  const std::vector<double> errors = errors_of(drawn.numbers, samples),
                            unseen_errors = errors_of(drawn.numbers, samples, /*unseen=*/true);
  for (std::size_t c = 0; c < numbers_.size(); ++c) {
    if (std::isnan(errors[c]) || std::isnan(own_errors_[c])) continue;
    const auto of = [&](const data::Dataset& part) {
      return part.rows.numbers(static_cast<std::size_t>(part.condition.find(numbers_[c].name)));
    };
    Scores::Number& number = scores.numbers.emplace_back();
    number.name = numbers_[c].name;
    number.unit = numbers_[c].unit;
    number.error = errors[c];
    number.own_error = own_errors_[c];
    number.unseen.assign(unseen_[c].begin(), unseen_[c].end());
    if (!std::isnan(unseen_errors[c])) number.unseen_error = unseen_errors[c];
    number.windows = windows({drawn.features, width_of(samples)}, of(samples), of(reference_.held_out));
  }
  const auto numeric = std::ranges::count_if(samples.condition.columns, &data::ConditionColumn::is_numeric);
  if (scores.numbers.empty() && numeric > 0) miss(scores, {"numbers"}, why_no_numbers_);
}

std::vector<Scores::Number::Window> Judge::windows(const Rows& samples, std::span<const float> of_samples,
                                                   std::span<const float> of_real) const {
  const Rows real{real_.features, samples.width};
  std::vector<std::uint32_t> order = distinct_;  // of real rows, by their number
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return of_real[i]; });
  const std::size_t half = order.size() / static_cast<std::size_t>(2 * kWindows);
  std::vector<Scores::Number::Window> found;
  for (std::size_t first = 0; half > 0 && first + 2 * half <= order.size(); first += half) {
    const float low = of_real[order[first]], high = of_real[order[first + 2 * half - 1]];
    std::vector<std::uint32_t> inside, drawn;
    for (const std::uint32_t i : order)
      if (of_real[i] >= low && of_real[i] <= high) inside.push_back(i);
    for (std::uint32_t i = 0; i < of_samples.size(); ++i)
      if (of_samples[i] >= low && of_samples[i] <= high) drawn.push_back(i);
    if (!found.empty() && found.back().low == static_cast<double>(low)) continue;  // a number that repeats
    const std::vector<float> rows = rows_of(real, inside), of_window = rows_of(samples, drawn);
    if (const auto fd = RealRows({rows, real.width}, rows).distance({of_window, real.width}))
      found.push_back({static_cast<double>(low), static_cast<double>(high), *fd});
  }
  return found;
}

void Judge::judge_coverage(const Rows& fake, Scores& scores) const {
  if (const std::string why = why_too_few(fake.count(), kRowsOfCoverage); !why.empty())
    return miss(scores, {"precision", "recall", "density", "coverage"}, why);
  // Both sides get the same number of rows, since few real rows have large balls, in which one of many samples would
  // lie by chance. Equal real rows count once, since their balls are empty.
  const auto distinct = static_cast<std::int64_t>(distinct_.size());
  const std::int64_t rows = std::min({kRowsOfPrdc, fake.count(), distinct});
  const std::vector<float> all = rows_of({real_.features, fake.width}, distinct_);
  const std::vector<float> real_rows = metrics::choose_rows({all, fake.width}, rows, kSeed);
  const std::vector<float> fake_rows = metrics::choose_rows(fake, rows, kSeed + 1);
  scores.prdc = metrics::prdc({real_rows, fake.width}, {fake_rows, fake.width}, kNeighbours);
}

void Judge::judge_copies_of_vectors(const Rows& fake, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const Rows drawn = fake.slice(0, std::min(fake.count(), kRowsOfPixels));
  const Rows unseen = Rows{real_.features, fake.width}.slice(0, std::min(reference_.held_out.count(), kRowsOfPixels));
  // On a line, equal distances are no rarity.
  if (fake.width > 1 && drawn.count() >= kFewestRows) {
    const double limit = kDuplicateDeviation * std::sqrt(static_cast<double>(fake.width));
    const std::vector<double> others = metrics::nearest_other(drawn);
    scores.duplicates = static_cast<double>(std::ranges::count_if(others, [&](double d) { return d < limit; })) /
                        static_cast<double>(others.size());
  }
  if (const std::string why = why_too_few(drawn.count(), kFewestRows); !why.empty())
    return miss(scores, {"memorization"}, why);
  const std::vector<float> train = neighbours_->standardized(reference_.train);
  const auto distances = [&](const Rows& rows) {
    metrics::Nearest nearest;
    metrics::find_nearest(rows, {train, fake.width}, 0, nearest);
    return per_element(nearest.distance, fake.width);
  };
  const std::vector<double> of_samples = distances(drawn);
  const std::vector<double> of_unseen = reference_.whole ? std::vector<double>() : distances(unseen);
  scores.memorization = memorization(of_samples, of_unseen, of_samples, of_unseen, kDuplicateDeviation);
}

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
    scores.kid = metrics::kid(real, fake, kSeed);
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
  const std::int64_t drawn = std::min(samples.count(), most), unseen = std::min({kRowsOfPixels, real.count(), most});
  const std::vector<float> all = pixel_rows(samples, 0, drawn);
  const std::string more = drawn < samples.count() ? " (memory holds no more of this size)" : "";
  // The mean of few rows lies near each of them, which would understate the spread within labels.
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
    const std::vector<double> others = per_element(metrics::nearest_other({all, width}), width);
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
  if (const std::string why = too_few_samples(drawn, kFewestRows); !why.empty())
    return miss(scores, {"memorization"}, why);
  const std::string has = static_cast<std::int64_t>(unseen.size()) == real.count()
                              ? base::counted(real.count(), "image")
                              : base::counted(static_cast<std::int64_t>(unseen.size()), "different image") +
                                    " that the training part lacks";
  std::string why = too_few(drawn, static_cast<std::int64_t>(unseen.size()), has, kFewestRows);
  if (unseen.empty()) why = "every image of the reference is in the training part too";
  if (!why.empty()) {
    miss(scores, {"memorization.held_out_median"}, why);
    unseen.clear();
  }
  const data::Dataset held_out = data::subset(real, unseen);
  const std::int64_t shifted = rows_to_shift(reference_.train);
  const auto distances = [&](const data::Dataset& images) {
    return nearest_shifted(images, std::min(shifted, images.count()), reference_.train);
  };
  std::vector<double> of_unseen, shifted_unseen;
  if (!unseen.empty()) {
    of_unseen =
        per_element(nearest_images(pixel_rows(held_out, 0, held_out.count()), reference_.train).distance, width);
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
  scores.parzen = metrics::parzen({samples, width}, {chosen_by, width}, {test, width});
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
  // One sample for each training image, with its label, from another seed than the samples that were scored.
  data::Dataset wanted = conditions_of(train, model);
  wanted.items = train.count();
  const data::Dataset samples = draw_with(model, wanted, options.seed + 1);
  const Classifier classifier = train_classifier(samples, 0, log);
  scores.cas = {accuracy_of(Embedder(classifier).embed(real).classes, labels(real)), *embedding_.accuracy};
}

}  // namespace gan::eval
