// The watchdog: what it says of made-up measurements, what it measures, and that it changes nothing of a run; going
// back after a divergence; ending when the score has stalled.
#include "train/watchdog.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <sstream>
#include <string>
#include <vector>

#include "base/file.h"
#include "data/source.h"
#include "io/safetensors.h"
#include "program.h"
#include "run_helpers.h"
#include "train/model_file.h"
#include "train/observer.h"
#include "train/preset.h"
#include "train/trainer.h"

namespace gan::test {
namespace {

using train::Measurements;
using train::WatchState;

Measurements healthy() {
  return {.condition = 1.2,
          .spread = 0.9,
          .d_wins = 0.7,
          .d_deviation = 0.2,
          .gradient_g = 0.1,
          .gradient_d = 0.1,
          .length_g = 20,
          .length_d = 20};
}

train::Config preset(const std::string& name, const std::vector<std::string>& settings = {}) {
  train::Config config = train::load_preset(name);
  train::apply_settings(config, settings);
  return config;
}

/// The warnings of checks of the same measurements every 100 steps, joined.
std::string warnings_of(const train::Config& config, const data::ConditionSpec& condition, const Measurements& found,
                        std::int64_t steps = 2000) {
  const train::Watchdog watchdog(config, condition, /*images=*/true);
  WatchState state;
  std::string all;
  for (std::int64_t step = 100; step <= steps; step += 100)
    for (const std::string& text : watchdog.judge(step, found, state)) all += std::to_string(step) + ": " + text + "\n";
  return all;
}

TEST(Watchdog, SaysNothingOfAHealthyRun) {
  EXPECT_EQ(warnings_of(preset("lsgan-r1r2"), data::label_condition(10), healthy()), "");
  EXPECT_EQ(warnings_of(preset("vector"), {}, {.spread = 0.9, .d_wins = 0.5, .d_deviation = 0.01, .gradient_g = 1e-3}),
            "");
}

TEST(Watchdog, WarnsOnceAfterThreeChecksInARow) {
  const train::Config config = preset("tutorial-lsgan");
  const train::Watchdog watchdog(config, data::label_condition(10), true);
  WatchState state;
  Measurements bad = healthy();
  bad.condition = 0.01;
  const auto judged = [&](std::int64_t step, const Measurements& found) {
    return watchdog.judge(step, found, state).size();
  };
  for (const std::int64_t step : {100, 200, 300, 400}) EXPECT_EQ(judged(step, bad), 0u) << "before watchdog.after";
  EXPECT_EQ(judged(500, bad), 0u);
  EXPECT_EQ(judged(600, bad), 0u);
  EXPECT_EQ(judged(700, healthy()), 0u) << "the count starts anew";
  EXPECT_EQ(judged(800, bad), 0u);
  EXPECT_EQ(judged(900, bad), 0u);
  const std::vector<std::string> said = watchdog.judge(1000, bad, state);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_TRUE(said[0].starts_with("G draws one picture for every label: ")) << said[0];
  EXPECT_NE(said[0].find("model.g.gain=true"), std::string::npos) << said[0];
  EXPECT_EQ(judged(1100, bad), 0u) << "once";
}

TEST(Watchdog, WaitsForWhatRisesTowardsItsLimit) {
  const train::Watchdog watchdog(preset("vector"), data::label_condition(2), false);
  const auto warnings = [&](double rise) {
    WatchState state;
    std::size_t count = 0;
    Measurements found = healthy();
    found.spread = 0.02;
    for (std::int64_t step = 500; step <= 800; step += 100) {
      count += watchdog.judge(step, found, state).size();
      *found.spread += rise;
    }
    return count;
  };
  EXPECT_EQ(warnings(0.0001), 1u);
  EXPECT_EQ(warnings(0.01), 0u);
}

TEST(Watchdog, WaitsUntilTheAverageHasForgottenTheFirstWeights) {
  Measurements bad = healthy();
  bad.spread = 0.01;
  const data::ConditionSpec classes = data::label_condition(2);
  EXPECT_TRUE(warnings_of(preset("vector", {"train.ema=0.999", "train.ema_warmup=false"}), classes, bad)
                  .starts_with("1200: samples of a class are all alike: "));
  EXPECT_TRUE(warnings_of(preset("vector", {"train.ema=0.9999", "train.ema_warmup=true"}), classes, bad)
                  .starts_with("700: samples of a class"));
  EXPECT_EQ(
      warnings_of(preset("vector", {"train.ema=0.999", "train.ema_warmup=false", "train.d_steps=5"}), classes, bad),
      "");
}

TEST(Watchdog, NamesTheKindOfTheCondition) {
  Measurements bad = healthy();
  bad.condition = bad.spread = 0.001;
  data::ConditionSpec angle{{{.name = "angle", .number = {.name = "angle", .maximum = 360}}}};
  const std::string numbers = warnings_of(preset("vector"), angle, bad);
  EXPECT_NE(numbers.find("one picture for every angle: "), std::string::npos) << numbers;
  EXPECT_NE(numbers.find("samples of one condition are all alike"), std::string::npos) << numbers;
  bad.condition.reset();
  const std::string none = warnings_of(preset("vector"), {}, bad);
  EXPECT_NE(none.find("700: samples are all alike"), std::string::npos) << none;
  EXPECT_EQ(none.find("one picture"), std::string::npos) << none;
}

TEST(Watchdog, KnowsWhatCanHappenToD) {
  const data::ConditionSpec classes = data::label_condition(2);
  Measurements bad = healthy();
  bad.d_wins = 1;
  EXPECT_NE(warnings_of(preset("tutorial-bce"), classes, bad).find("D wins: "), std::string::npos);
  EXPECT_EQ(warnings_of(preset("lsgan-r1r2"), classes, bad), "") << "a penalized D leaves gradients";
  EXPECT_EQ(warnings_of(preset("tutorial-bce", {"loss.name=wasserstein"}), classes, bad), "");
  bad = healthy();
  bad.d_deviation = 0;
  EXPECT_NE(warnings_of(preset("lsgan-r1r2"), classes, bad).find("D is dead: "), std::string::npos);
}

TEST(Watchdog, ComparesWithEarlierChecks) {
  const train::Watchdog watchdog(preset("lsgan-r1r2"), data::label_condition(2), true);
  const auto last_warning = [&](const Measurements& later) {
    WatchState state;
    watchdog.judge(500, healthy(), state);
    std::string text;
    for (const std::int64_t step : {600, 700, 800})
      for (const std::string& each : watchdog.judge(step, later, state)) text += each + "\n";
    return text;
  };
  Measurements later = healthy();
  EXPECT_EQ(last_warning(later), "");
  later.gradient_g = 1e-9;
  EXPECT_TRUE(last_warning(later).starts_with("G's gradients have vanished: 1e-08 of the largest"))
      << last_warning(later);
  later = healthy();
  later.length_d = 1000;
  EXPECT_TRUE(last_warning(later).starts_with("D's weights grow without end: 50 times")) << last_warning(later);
}

// ---- what is measured ----

/// Vectors [2] in classes whose means are 2 apart in the first element, with a deviation of 0.5 in both.
data::Dataset two_classes(std::int64_t count) {
  data::Dataset dataset;
  dataset.sample_shape = {2};
  dataset.items = count;
  dataset.condition = data::label_condition(2);
  std::vector<std::int32_t> labels;
  for (std::int64_t i = 0; i < count; ++i) {
    const float side = i % 4 < 2 ? -0.5f : 0.5f, other = i % 8 < 4 ? -0.5f : 0.5f;
    labels.push_back(static_cast<std::int32_t>(i % 2));
    dataset.points.insert(dataset.points.end(), {2 * static_cast<float>(i % 2) + side, other});
  }
  dataset.rows = data::ConditionRows(labels);
  return dataset;
}

TEST(WatchdogData, SpreadWithinAndBetweenConditions) {
  const data::Dataset dataset = two_classes(4000);
  const train::DataSpread classes = train::spread_of(dataset, dataset.condition, 1);
  EXPECT_NEAR(classes.within.value(), 0.5, 0.02);
  EXPECT_NEAR(classes.between.value(), std::sqrt(0.5), 0.02) << "1 in the first element, 0 in the second";
  const train::DataSpread all = train::spread_of(dataset, {}, 1);
  EXPECT_NEAR(all.within.value(), std::sqrt(0.75), 0.02);
  EXPECT_FALSE(all.between);
}

TEST(WatchdogData, ANumberIsComparedWithItsNeighbours) {
  const data::Dataset circle = data::open_source("circle");
  const train::DataSpread spread = train::spread_of(circle, circle.condition, 1);
  EXPECT_NEAR(spread.between.value(), circle.circle_radius / std::sqrt(2.0), 0.05 * circle.circle_radius);
  EXPECT_NEAR(spread.within.value(), static_cast<double>(circle.mode_deviation), 0.2 * circle.mode_deviation);
}

TEST(WatchdogData, AConditionWithoutEffectAndLonelyRowsGiveNoVerdict) {
  data::Dataset dataset = two_classes(4000);
  std::vector<std::int32_t> labels(4000);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i / 8 % 2);
  dataset.rows = data::ConditionRows(labels);
  EXPECT_FALSE(train::spread_of(dataset, dataset.condition, 1).between);
  dataset.condition = data::label_condition(4000);
  for (std::size_t i = 0; i < labels.size(); ++i) labels[i] = static_cast<std::int32_t>(i);
  dataset.rows = data::ConditionRows(labels);
  const train::DataSpread lonely = train::spread_of(dataset, dataset.condition, 1);
  EXPECT_FALSE(lonely.within);
  EXPECT_FALSE(lonely.between);
}

// ---- runs ----

/// The warnings in metrics.jsonl, a line each.
std::string warnings_in(const std::string& folder) {
  std::istringstream lines(get(folder + "/metrics.jsonl"));
  std::string all;
  for (std::string line; std::getline(lines, line);) {
    const auto json = nlohmann::json::parse(line);
    for (const auto& text : json.value("watch.warnings", nlohmann::json::array()))
      all += text.get<std::string>() + "\n";
  }
  return all;
}

TEST(WatchdogRun, ThePrintedNetworksDrawOnePictureForEveryLabel) {
  for (const std::string name : {"tutorial-bce", "tutorial-lsgan"}) {
    const Folder folder;
    write_data(folder);
    const Result result = run(folder, {"train", name, "--data", source(folder), "--out", folder / "a", "--steps", "380",
                                       "--batch", "8", "--threads", "1", "--set", "train.sample_every=0",
                                       "train.ema=0.99", "watchdog.every=20", "watchdog.after=320"});
    ASSERT_EQ(result.code, 0) << result.err;
    EXPECT_NE(result.out.find("warning: G draws one picture for every label: "), std::string::npos) << result.out;
    EXPECT_NE(warnings_in(folder / "a").find("one picture for every label"), std::string::npos);
    const std::string page = folder / "page.html";
    expect_done(folder, {"report", folder / "a", "--out", page});
    EXPECT_NE(get(page).find("G draws one picture for every label"), std::string::npos);
    EXPECT_NE(get(folder / "a/metrics.jsonl").find("\"watch.condition\":"), std::string::npos);
  }
}

TEST(WatchdogRun, TenPicturesInTwoClassesAreToldToBeAllAlike) {
  const Folder folder;
  std::string pictures;
  for (std::size_t i = 0; i < 10 * 784; ++i)  // bars: horizontal ones are class 0, vertical ones class 1
    pictures += (i / 784 % 2 == 0 ? i % 784 / 28 : i % 28) / 3 == i / 784 / 2 + 2 ? '\xff' : '\0';
  put(folder / "x.idx", idx({10, 28, 28}, pictures));
  put(folder / "y.idx", idx({10}, std::string("\0\1\0\1\0\1\0\1\0\1", 10)));
  const Result result =
      run(folder, {"train", "--data", (folder / "x.idx") + "," + (folder / "y.idx"), "--out", folder / "a", "--steps",
                   "700", "--threads", "2", "--quiet", "--set", "model.g.widths=[64,64]", "model.d.widths=[64,64]",
                   "train.sample_every=0", "train.ema=0.99", "watchdog.every=20", "watchdog.after=400"});
  ASSERT_EQ(result.code, 0) << result.err;
  EXPECT_NE(warnings_in(folder / "a").find("samples of a class are all alike"), std::string::npos);
  EXPECT_EQ(result.out, "");
  EXPECT_NE(result.err.find("gan: warning: samples of a class are all alike"), std::string::npos) << result.err;
}

TEST(WatchdogRun, TheDefaultSetsOffNothing) {
  const Folder folder;
  write_data(folder);
  expect_done(folder, {"train", "--data", source(folder), "--out", folder / "a", "--steps", "1000", "--batch", "32",
                       "--threads", "2", "--quiet", "--set", "model.g.widths=[64,64]", "model.d.widths=[64,64]"});
  EXPECT_EQ(warnings_in(folder / "a"), "");
}

train::Config small_run(std::int64_t steps, const std::vector<std::string>& more = {}) {
  train::Config config = preset("vector", {"train.steps=" + std::to_string(steps), "train.batch=64",
                                           "train.log_every=10", "train.checkpoint_every=15", "model.g.widths=[32,32]",
                                           "model.d.widths=[32,32]", "model.g.batch_norm=true"});
  config.data.source = "ring8";
  train::apply_settings(config, more);
  return config;
}

struct Trained {
  std::string model;
  std::vector<std::string> notes;
};

Trained train_small(const train::Config& config, const std::string& folder, bool resume = false,
                    std::int64_t stop_after = -1) {
  const data::Dataset dataset = data::open_source("ring8");
  Trained trained;
  train::Callbacks callbacks;
  callbacks.on_note = [&](const std::string& text) { trained.notes.push_back(text); };
  callbacks.stop_requested = [&] { return stop_after >= 0 && stop_after-- == 0; };
  train::train_run(config, dataset, {folder, resume, ""}, callbacks);
  trained.model = base::read_file(folder + "/model.safetensors");
  return trained;
}

void expect_same_state(const std::string& a, const std::string& b) {
  const auto expected = io::read_safetensors(a + "/checkpoint.safetensors").tensors;
  const auto found = io::read_safetensors(b + "/checkpoint.safetensors").tensors;
  ASSERT_EQ(expected.size(), found.size());
  for (const auto& [name, array] : found)
    EXPECT_TRUE(std::ranges::equal(array.f32(), expected.at(name).f32())) << name << " in " << b;
}

TEST(WatchdogRun, ChangesNothing) {
  const Folder folder;
  const std::string off = train_small(small_run(60, {"watchdog.every=0"}), folder / "off").model;
  EXPECT_EQ(get(folder / "off/metrics.jsonl").find("watch."), std::string::npos);
  for (const std::string every : {"1", "7"}) {
    EXPECT_TRUE(train_small(small_run(60, {"watchdog.every=" + every}), folder / every).model == off);
    expect_same_state(folder / "off", folder / every);
    EXPECT_NE(get(folder / every + "/metrics.jsonl").find("\"watch.spread\":"), std::string::npos);
  }
}

/// The warnings of a run that starts, at a rate of 0, from a generator whose first layer has no weights for these
/// inputs.
std::string warnings_without_inputs(std::size_t first, std::size_t count) {
  const Folder folder;
  train_small(small_run(1), folder / "start");
  train::Model model = train::load_model(folder / "start");
  runtime::Array& weight = model.weights.at("generator.model.0.weight");
  const auto inputs = static_cast<std::size_t>(weight.type().shape[1]);
  for (std::size_t i = 0; i < weight.f32().size(); ++i)
    if (i % inputs >= first && i % inputs < first + count) weight.f32()[i] = 0;
  train::save_model(folder / "model.safetensors", model);
  train::Config config = small_run(50, {"optim.lr=0", "train.ema=0", "watchdog.every=10", "watchdog.after=0"});
  const data::Dataset dataset = data::open_source("ring8");
  train::train_run(config, dataset, {folder / "a", false, folder / "model.safetensors"}, {});
  return warnings_in(folder / "a");
}

TEST(WatchdogRun, KnowsGeneratorsThatIgnoreTheirInputs) {
  const auto latent = static_cast<std::size_t>(small_run(1).model.latent);
  const std::string label = warnings_without_inputs(latent, 1000), latents = warnings_without_inputs(0, latent);
  EXPECT_NE(label.find("G draws one row for every label: another label moves its samples by 0% of"), std::string::npos)
      << label;
  EXPECT_EQ(label.find("all alike"), std::string::npos) << label;
  EXPECT_NE(latents.find("samples of a class are all alike: they vary by 0% of"), std::string::npos) << latents;
  EXPECT_EQ(latents.find("one row"), std::string::npos) << latents;
}

// ---- going back ----

/// A run whose rate rises until it diverges, more than once.
train::Config diverging_run(const std::vector<std::string>& more = {}) {
  train::Config config = small_run(
      200, {"optim.name=sgd", "optim.lr=40", "optim.warmup=2000", "train.checkpoint_every=20", "watchdog.every=10"});
  train::apply_settings(config, more);
  return config;
}

TEST(Divergence, GoesBackWithLowerRatesAndIsTheSameHoweverItIsInterrupted) {
  const Folder folder;
  const Trained whole = train_small(diverging_run(), folder / "a");
  const auto is_warning = [](const std::string& text) {
    return text.starts_with("warning: training diverged at step ");
  };
  const auto retries = std::ranges::count_if(whole.notes, is_warning);
  ASSERT_GE(retries, 1);
  EXPECT_NE(std::ranges::find_if(whole.notes, is_warning)->find(" (D), retry 1 of 3; "), std::string::npos);
  EXPECT_NE(warnings_in(folder / "a").find("training diverged at step "), std::string::npos);
  std::vector<std::int64_t> steps;
  for (std::int64_t step = 10; step <= 200; step += 10) steps.push_back(step);
  EXPECT_EQ(logged_steps(folder / "a/metrics.jsonl"), steps) << "steps that were undone are gone";
  for (const std::int64_t stop : {13, 25, 40, 95, 115, 121, 170}) {
    const std::string other = folder / std::to_string(stop);
    train_small(diverging_run(), other, false, stop);
    const Trained resumed = train_small(diverging_run(), other, true);
    EXPECT_TRUE(resumed.model == whole.model) << stop;
    expect_same_state(folder / "a", other);
    EXPECT_FALSE(std::filesystem::exists(other + "/good.safetensors")) << stop;
  }
}

TEST(Divergence, AStopBetweenCheckpointsKeepsTheStateToGoBackTo) {
  const Folder folder;
  const train::Config config = small_run(100, {"train.checkpoint_every=20"});
  const std::string run = folder / "a";
  train_small(config, run, false, 13);
  EXPECT_FALSE(std::filesystem::exists(run + "/good.safetensors")) << "the start needs no file";
  train_small(config, run, true, 12);
  const std::string good = get(run + "/good.safetensors");
  EXPECT_FALSE(good.empty()) << "of step 20, beside the checkpoint of step 25";
  train_small(config, run, true, 3);
  EXPECT_TRUE(get(run + "/good.safetensors") == good) << "at step 28, still that of 20";
  // As a kill between the two files leaves it.
  std::filesystem::remove(run + "/checkpoint.safetensors");
  train_small(config, run, true);
  expect_same_state(run, (train_small(config, folder / "b"), folder / "b"));
}

TEST(DivergenceBadInput, EndsAfterThreeRetriesOrAtOnce) {
  const auto message = [](const train::Config& config) {
    const Folder folder;
    try {
      train_small(config, folder / "a");
    } catch (const base::Error& error) {
      EXPECT_EQ(error.kind(), base::ErrorKind::run);
      return std::string(error.what());
    }
    return std::string();
  };
  const std::string thrice = message(diverging_run({"optim.lr=1e3", "optim.warmup=0"}));
  EXPECT_NE(thrice.find("; 3 retries with lower rates did not help; nothing was saved before"), std::string::npos)
      << thrice;
  EXPECT_NE(thrice.find("optim.lr=1.56"), std::string::npos) << "a tenth of the last rate: " << thrice;
  const std::string at_once = message(diverging_run({"optim.lr=1e3", "optim.warmup=0", "train.on_nan=stop"}));
  EXPECT_EQ(at_once.find("retries"), std::string::npos) << at_once;
  EXPECT_NE(at_once.find("training diverged at step "), std::string::npos) << at_once;
}

// ---- ending by the score ----

TEST(StopWhen, EndsWhenTheScoreHasStalledAndGoesOnWithMorePatience) {
  const Folder folder;
  const Args start = {"train", "--data",    "ring8", "--out", folder / "a", "--steps",
                      "100",   "--threads", "2",     "--set", "optim.lr=0"};
  Args args = start;
  args.insert(args.end(), {"--eval-every", "5", "--stop-when", "2"});
  const Result result = run(folder, args);
  ASSERT_EQ(result.code, 0) << result.err;
  const std::string stalled = "the score has not risen for 2 evaluations since the best, ";
  EXPECT_NE(result.out.find("ended: " + stalled), std::string::npos) << result.out;
  EXPECT_EQ(logged_steps(folder / "a/scores.jsonl"), (std::vector<std::int64_t>{5, 10, 15}));
  for (const std::string model : {"a", "a/best.safetensors"}) {
    const Result info = run(folder, {"info", folder / model});
    EXPECT_NE(info.out.find(" at step 5, in best.safetensors"), std::string::npos) << info.out;
  }
  const Result again = run(folder, {"train", "--resume", "--out", folder / "a"});
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_NE(again.out.find("nothing to do: " + stalled), std::string::npos) << again.out;
  expect_done(folder, {"train", "--resume", "--out", folder / "a", "--stop-when", "4", "--quiet"});
  EXPECT_EQ(logged_steps(folder / "a/scores.jsonl").back(), 25);
  args = start;
  args.insert(args.end(), {"--stop-when", "2"});
  args[4] = folder / "b";
  expect_refused(folder, args, 2, "train.stop_when = 2 without evaluations: give --eval-every");
}

}  // namespace
}  // namespace gan::test
