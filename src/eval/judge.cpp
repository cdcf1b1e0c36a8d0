#include "eval/judge.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <iterator>
#include <limits>
#include <numeric>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#include "data/repeats.h"
#include "data/shuffle.h"
#include "eval/draw.h"
#include "eval/missing.h"

namespace gan::eval {

using metrics::Rows;

namespace {

constexpr std::int64_t kUsualImages = 10'000, kUsualPoints = 2'500, kRowsOfPrdc = 5000;
constexpr std::uint64_t kSeedOfRows = 0;  // of random rows, fixed so that a model's scores are reproducible
constexpr std::size_t kNamedClasses = 10;
constexpr std::int64_t kWindows = 10;  // of a reference along a number, without those that overlap two of them

/// The absolute difference of two numbers, of periodic ones the shorter way around.
double difference(const data::NumberColumn& column, float a, float b) {
  const double far = static_cast<double>(a) - static_cast<double>(b);
  return std::abs(column.period > 0 ? std::remainder(far, column.period) : far);
}

}  // namespace

Judge::Judge(Reference reference, Networks networks, const runtime::Backend* backend, runtime::Communicator& ranks)
    : reference_(std::move(reference)), backend_(backend), ranks_(&ranks), classifier_(std::move(networks.embedding)) {
  const std::optional<Classifier>& regressor = networks.regressor;
  const data::Dataset& real = reference_.held_out;
  class_column_.name = "";
  if (const int c = class_column(real.condition); c >= 0)
    class_column_ = real.condition.columns[static_cast<std::size_t>(c)];
  distinct_ = data::distinct_samples(real);
  if (!real.is_image()) {
    why_no_numbers_ = too_few(Neighbours::kNearest, reference_.train.count(),
                              base::counted(reference_.train.count(), "training row"), Neighbours::kNearest);
    if (!real.modes.empty() || !why_no_numbers_.empty()) return;
    neighbours_ = std::make_unique<Neighbours>(reference_.train);
    numbers_ = neighbours_->numbers();
    real_ = neighbours_->read(real);
    judge_reference();
    return;
  }
  why_no_numbers_ = "needs a regressor";
  if (const std::string why = why_no_regressor(reference_.train); !why.empty()) why_no_numbers_ += ": " + why;
  if (regressor) {
    regressor_ = std::make_unique<Embedder>(*regressor, backend_);
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
  if (classifier_) embedder_ = std::make_unique<Embedder>(*classifier_, backend_);
  real_ = read(real);
  embedding_ = {.hash = hash_of((classifier_ ? *classifier_ : *regressor).weights),
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
    if (2 * seen.size() > all.size()) continue;  // if values do not repeat, nearly all would be unseen
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
  if (!embedder_) return regressor_->embed(samples, *ranks_);
  Embedded result = embedder_->embed(samples, *ranks_);
  if (regressor_) result.numbers = regressor_->embed(samples, *ranks_).numbers;
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

bool Judge::draws_evenly(const data::ConditionSpec& condition, const Options& options) const {
  return condition.classes() > 0 && (options.even_shares || !reference_.held_out.modes.empty());
}

bool Judge::reads_labels() const {
  return classifier_ && !classifier_->exemplars && classifier_->classes > 0 &&
         classifier_->classes == class_column_.categories;
}

std::int64_t Judge::mode_count() const {
  const data::Dataset& real = reference_.held_out;
  return static_cast<std::int64_t>(real.modes.size()) / real.sample_shape[0];
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
  if (!real.modes.empty()) return too_few_samples(samples, kFewestRows * mode_count());
  if (on_circle(real.condition)) return too_few_samples(samples, kPointsOnCircle);
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
  const std::int64_t usual = real.is_image()              ? kUsualImages
                             : on_circle(model.condition) ? kPointsOnCircle
                                                          : kUsualPoints;
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
  } else if (draws_evenly(wanted.condition, options)) {
    wanted.rows = data::values_in_turn(wanted.condition, count);
  } else {
    // In random order, because in sorted data the first rows are not typical.
    data::Shuffle shuffle(static_cast<std::uint32_t>(real.count()), kSeedOfRows);
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
  data::Dataset samples = draw(model, wanted.count(), aligned.rows, seed, backend_, *ranks_);
  samples.condition = wanted.condition;
  samples.rows = wanted.rows;
  return samples;
}

Evaluation Judge::evaluate(const train::Model& model, const Options& options, const Log& log) {
  const auto start = std::chrono::steady_clock::now();
  const data::Dataset& real = reference_.held_out;
  require_fit(model, reference_);
  const data::Dataset wanted = conditions(model, options);
  if (log)
    log(fmt::format("drawing {}, comparing them with {}", base::counted(wanted.count(), "sample"),
                    base::counted(real.count(), "real one")));
  Evaluation evaluation = judge_samples(draw_with(model, wanted, options.seed), "the model is unconditional", options);
  Scores& scores = evaluation.scores;
  scores.steps = model.steps;
  scores.seed = options.seed;
  note_classes(model, options, evaluation);
  if (real.is_image() && options.cas) judge_cas(model, options, evaluation, log);
  // Unconditional models are left out, because their hash may differ only by the labels.
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
  if (reference_.whole && (reads_labels() || !numbers_.empty()))
    scores.notes.push_back(
        "nothing is held out: what reads labels and numbers may have learned from the reference, "
        "whose own errors are too small then");
  if (const std::string note = note_on_copies(); !note.empty())
    scores.notes.push_back(note);
  else if (static_cast<std::int64_t>(distinct_.size()) < kRowsOfCoverage && !reference_.advice.empty())
    scores.notes.push_back(fmt::format("the reference is small: {} compares with more", reference_.advice));
  return evaluation;
}

std::vector<std::uint32_t> Judge::unseen_samples(std::int64_t drawn, std::int64_t most, Scores& scores) const {
  const data::Dataset& real = reference_.held_out;
  // A held-out sample that is in the training part too would count as a copy.
  const std::vector<std::uint32_t> not_in_training = data::samples_not_in(real, reference_.train);
  scores.reference_in_training = real.count() - std::ssize(not_in_training);
  std::vector<std::uint32_t> unseen;
  std::ranges::set_intersection(not_in_training, distinct_, std::back_inserter(unseen));
  unseen.resize(std::min(unseen.size(), static_cast<std::size_t>(most)));
  const std::string noun = real.is_image() ? "image" : "row";
  const std::string has = std::ssize(unseen) == real.count() ? base::counted(real.count(), noun)
                                                             : base::counted(std::ssize(unseen), "different " + noun) +
                                                                   " that the training part lacks";
  std::string why = too_few(drawn, std::ssize(unseen), has, kFewestRows);
  if (unseen.empty()) why = fmt::format("every {} of the reference is in the training part too", noun);
  if (why.empty()) return unseen;
  miss(scores, {"memorization.held_out_median"}, why);
  return {};
}

std::string Judge::note_on_copies() const {
  const data::Dataset &real = reference_.held_out, &train = reference_.train;
  if (distinct_.size() > 1) return "";
  // Of few samples one is held out: the training part shows whether all are equal.
  const bool all = train.count() > 0 && data::samples_not_in(train, real).empty();
  const std::int64_t count = real.count() + (all && !reference_.whole ? train.count() : 0);
  if (count < 2) return "";
  return fmt::format("the {} is {} copies of one sample: nothing can be compared with it", all ? "data" : "reference",
                     base::grouped(static_cast<std::uint64_t>(count)));
}

void Judge::note_classes(const train::Model& model, const Options& options, Evaluation& evaluation) const {
  Scores& scores = evaluation.scores;
  const data::ConditionSpec& wanted = evaluation.samples.condition;
  if (model.condition.empty()) return;
  if (!labels(evaluation.samples).empty()) scores.class_names = class_column_.names;
  scores.drawn = draws_evenly(wanted, options) ? Scores::Drawn::evenly : Scores::Drawn::as_reference;
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
    number.windows = windows(numbers_[c], {drawn.features, width_of(samples)}, of(samples), of(reference_.held_out));
  }
  const auto numeric = std::ranges::count_if(samples.condition.columns, &data::ConditionColumn::is_numeric);
  if (scores.numbers.empty() && numeric > 0) miss(scores, {"numbers"}, why_no_numbers_);
}

std::vector<Scores::Number::Window> Judge::windows(const data::NumberColumn& column, const Rows& samples,
                                                   std::span<const float> of_samples,
                                                   std::span<const float> of_real) const {
  const Rows real{real_.features, samples.width};
  // Periodic numbers are counted from 0 to the period, and the last windows reach across it.
  const bool around = column.period > 0;
  const auto place = [&](float number) {
    const auto value = static_cast<double>(number);
    const double within = around ? value - column.period * std::floor(value / column.period) : value;
    return around && within >= column.period ? 0 : within;  // rounding of a number just below 0
  };
  std::vector<std::uint32_t> order = distinct_;  // real rows, sorted by their number
  std::ranges::stable_sort(order, {}, [&](std::uint32_t i) { return place(of_real[i]); });
  const std::size_t half = order.size() / static_cast<std::size_t>(2 * kWindows);
  std::vector<Scores::Number::Window> found;
  for (std::size_t first = 0; half > 0 && first + (around ? half : 2 * half) <= order.size(); first += half) {
    const double low = place(of_real[order[first]]),
                 high = place(of_real[order[(first + 2 * half - 1) % order.size()]]);
    if (!found.empty() && found.back().low == low) continue;  // the same number again
    const auto is_inside = [&](float number) {
      const double value = place(number);
      return low <= high ? value >= low && value <= high : value >= low || value <= high;
    };
    std::vector<std::uint32_t> inside, drawn;
    for (const std::uint32_t i : order)
      if (is_inside(of_real[i])) inside.push_back(i);
    for (std::uint32_t i = 0; i < of_samples.size(); ++i)
      if (is_inside(of_samples[i])) drawn.push_back(i);
    const std::vector<float> rows = rows_of(real, inside), of_window = rows_of(samples, drawn);
    if (const auto fd = RealRows({rows, real.width}, rows).distance({of_window, real.width}))
      found.push_back({low, high, *fd});
  }
  return found;
}

void Judge::judge_coverage(const Rows& fake, Scores& scores) const {
  if (const std::string why = why_too_few(fake.count(), kRowsOfCoverage); !why.empty())
    return miss(scores, {"precision", "recall", "density", "coverage"}, why);
  // Both sides get the same number of rows: few real rows have large neighbourhoods, in which one of many samples lies
  // by chance. Equal real rows count once, since their neighbourhoods have radius 0.
  const auto distinct = static_cast<std::int64_t>(distinct_.size());
  const std::int64_t rows = std::min({kRowsOfPrdc, fake.count(), distinct});
  const std::vector<float> all = rows_of({real_.features, fake.width}, distinct_);
  const std::vector<float> real_rows = metrics::choose_rows({all, fake.width}, rows, kSeedOfRows);
  const std::vector<float> fake_rows = metrics::choose_rows(fake, rows, kSeedOfRows + 1);
  scores.prdc = metrics::prdc({real_rows, fake.width}, {fake_rows, fake.width}, kNeighbours, backend_);
}

}  // namespace gan::eval
