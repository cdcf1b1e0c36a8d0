// Conditions of several columns and of many classes, from the data to the model file.
#include "data/condition.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <set>

#include "base/error.h"
#include "data/batches.h"
#include "program.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "train/start_from.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

using base::ErrorKind;
using data::ConditionRows;
using data::ConditionSpec;

ConditionSpec label_and_colour() {
  return {
      {{.name = "label", .categories = 3, .names = {}}, {.name = "colour", .categories = 2, .names = {"red", "blue"}}}};
}

train::Model two_columns(const char* condition = "embedding") {
  train::Model model;
  model.config = train::load_preset("lsgan-r1r2");
  model.config.model.g.widths = {16};
  model.config.model.d.widths = {8};
  model.config.model.g.condition = model.config.model.d.condition = condition;
  model.sample_shape = {1, 4, 4};
  model.condition = label_and_colour();
  give_random_weights(model);
  return model;
}

std::vector<float> draw(const train::Model& model, const ConditionRows& y) {
  train::Sampler sampler(model);
  std::vector<float> z(static_cast<std::size_t>(2 * model.config.model.latent)), out(32);
  sampler.latents(1, 0, z);
  sampler.sample(z, y, out);
  return out;
}

ConditionRows rows(std::vector<std::int32_t> labels, std::vector<std::int32_t> colours) {
  ConditionRows y;
  y.columns = {std::move(labels), std::move(colours)};
  return y;
}

TEST(Condition, EachColumnReachesTheNetworks) {
  for (const char* condition : {"embedding", "one_hot"}) {
    const train::Model model = two_columns(condition);
    const std::vector<float> first = draw(model, rows({0, 1}, {0, 0}));
    EXPECT_NE(draw(model, rows({0, 2}, {0, 0})), first) << condition;
    EXPECT_NE(draw(model, rows({0, 1}, {0, 1})), first) << condition;
    EXPECT_EQ(draw(model, rows({0, 1}, {0, 0})), first) << condition;
  }
  // Another column adds to what a label adds, and leaves its names alone.
  const train::Model model = two_columns();
  EXPECT_EQ(model.weights.count("generator.embedding.weight"), 1u);
  EXPECT_EQ(model.weights.count("generator.embedding.colour.weight"), 1u);
  EXPECT_EQ(model.weights.count("discriminator.embedding.colour.weight"), 1u);
}

TEST(Condition, IsKeptByTheModelFile) {
  const TemporaryFolder folder;
  const train::Model model = two_columns();
  train::save_model(folder / "m.safetensors", model);
  const train::Model again = train::load_model(folder / "m.safetensors");
  EXPECT_EQ(again.condition, model.condition);
  EXPECT_EQ(draw(again, rows({2, 1}, {1, 0})), draw(model, rows({2, 1}, {1, 0})));
}

TEST(Condition, RowsAreSlicedAndChosen) {
  const ConditionRows y = rows({0, 1, 2, 0}, {1, 1, 0, 0});
  EXPECT_EQ(y.slice(1, 2).columns, rows({1, 2}, {1, 0}).columns);
  const std::uint32_t chosen[] = {3, 0};
  EXPECT_EQ(y.select(chosen).columns, rows({0, 0}, {0, 1}).columns);
  EXPECT_EQ(data::values_in_turn(data::label_condition(3), 4).columns[0],
            data::ColumnValues(std::vector<std::int32_t>{0, 1, 2, 0}));
  EXPECT_TRUE(data::values_in_turn({}, 4).empty());
  EXPECT_EQ(label_and_colour().text(), "label of 3 categories, colour of 2 categories");
  EXPECT_EQ(data::label_condition(1).text(), "1 class");
}

TEST(ConditionBadInput, Rows) {
  const struct {
    ConditionRows y;
    std::string message;
  } wrong[] = {{{}, "a condition of 0 columns for a model of 2 columns"},
               {std::vector<std::int32_t>{1, 2}, "a condition of 1 column for a model of 2 columns"},
               {rows({1, 2}, {0}), "colour: 1 value for 2 samples"},
               {rows({1, 3}, {0, 0}), "label 3; the model has 0 to 2"},
               {rows({1, 2}, {0, -1}), "colour -1; the model has 0 to 1"}};
  for (const auto& [y, message] : wrong)
    expect_error(ErrorKind::usage, message, [&] { data::require_rows(label_and_colour(), y, 2); });
}

ConditionSpec colour_and_angle() {
  const float angles[] = {0, 45, 90, 180};
  data::ConditionColumn angle{.name = "angle"};
  angle.number = data::number_column("angle", angles, "", "here");
  angle.number.period = 360;
  data::ConditionColumn size{.name = "size"};
  size.number = data::number_column("size", angles, "minmax", "here");
  return {{{.name = "colour", .categories = 2, .names = {"red", "blue"}}, angle, size}};
}

/// Every way in takes numbers beside categories, and D's side of each is trained by a step.
TEST(Condition, NumbersReachTheNetworks) {
  const std::pair<const char*, const char*> ways[] = {
      {"embedding", "embedding"}, {"one_hot", "one_hot"}, {"batch_norm", "projection"}, {"embedding", "auxiliary"}};
  for (const auto& [g, d] : ways) {
    train::Model model = two_columns();
    model.condition = colour_and_angle();
    model.config.model.g.condition = g;
    model.config.model.g.batch_norm = std::string(g) == "batch_norm";
    model.config.model.d.condition = d;
    give_random_weights(model);
    for (auto& [name, array] : model.weights)  // the tables of conditional batch norm start from 0
      if (name.find("running") == std::string::npos)
        for (std::size_t i = 0; i < array.f32().size(); ++i) array.f32()[i] += 0.01f * static_cast<float>(i % 7);
    const TemporaryFolder folder;
    train::save_model(folder / "m.safetensors", model);
    const train::Model again = train::load_model(folder / "m.safetensors");
    EXPECT_EQ(again.condition, model.condition);
    const auto with = [&](float angle, float size) {
      ConditionRows y;
      y.columns = {std::vector<std::int32_t>{0, 1}, std::vector<float>{0, angle}, std::vector<float>{0, size}};
      return draw(again, y);
    };
    EXPECT_NE(with(10, 0), with(20, 0)) << g;
    EXPECT_NE(with(10, 0), with(10, 5)) << g;
    EXPECT_EQ(with(0, 3), with(360, 3)) << g;
    graph::Graph step;
    train::build_step(step, model.config, train::model_spec(model.config, model.sample_shape, model.condition),
                      {.batch = 4});
  }
}

TEST(Condition, ValuesInTurnCoverTheRange) {
  const ConditionSpec spec = colour_and_angle();
  EXPECT_EQ(data::values_period(spec), 2 * 8 * 8);
  const ConditionRows y = data::values_in_turn(spec, 128);
  EXPECT_EQ(y.numbers(1)[8], 45.0f);  // 360 / 8: the end of a period is its beginning
  EXPECT_EQ(y.numbers(2)[7], 180.0f);
  EXPECT_EQ(y.categories(0)[63], 0);
  EXPECT_EQ(y.categories(0)[64], 1);
  EXPECT_EQ(data::row_text(spec, y, 65), "colour=blue, angle=0, size=25.7143");  // 180 / 7
}

/// In units of kappa, where the weight exp(-x^2) of a soft vicinity falls below 1/1000, from which on it is 0.
const double kFarthestSoft = std::sqrt(std::log(1000.0));

/// Widths are as CcGAN prescribes them, and real samples from the vicinity alone.
TEST(Vicinity, DrawsNearbySamples) {
  std::vector<float> angles;
  for (int i = 0; i < 1200; ++i) angles.push_back(static_cast<float>(i / 10 * 3));  // 120 angles, 10 samples each
  data::ConditionColumn angle{.name = "angle"};
  angle.number = data::number_column("angle", angles, "", "here");
  for (const double period : {0.0, 360.0})
    for (const char* kind : {"hard", "soft"}) {
      angle.number.period = period;
      ConditionRows rows;
      rows.columns = {angles};
      const data::Vicinity vicinity({{angle}}, rows, {.kind = kind});
      const double range = period > 0 ? 360 : 357;
      const double deviation = 3 * std::sqrt((120.0 * 120 - 1) / 12);  // of 0, 3, ..., 357
      EXPECT_NEAR(vicinity.widths()[0].kappa, 2 * 3 / range, 1e-9);    // twice the largest gap
      EXPECT_NEAR(vicinity.widths()[0].sigma, 1.06 * deviation / range * std::pow(1200.0, -0.2), 1e-6);
      const base::RandomStream random(1, 2, 3);
      int moved = 0, beyond = 0;
      for (std::uint32_t i = 0; i < 600; ++i) {
        ConditionRows y = rows;
        const std::uint32_t near = vicinity.draw(i * 2, random, i, i, y);
        float distance = std::abs(angles[near] - y.numbers(0)[i]);
        if (period > 0) distance = std::min(std::fmod(distance, 360.0f), 360 - std::fmod(distance, 360.0f));
        EXPECT_LE(distance, std::string(kind) == "hard" ? 6.01 : 6.01 * kFarthestSoft);
        moved += y.numbers(0)[i] != angles[i * 2];
        beyond += distance > 6.01f;
      }
      EXPECT_EQ(moved, 600);
      EXPECT_EQ(beyond > 0, std::string(kind) == "soft");
    }
}

/// The distances of drawn samples from their conditions, in units of kappa; the data has numbers at even distances.
/// Only conditions above their own sample's number, far from the ends of the range.
std::vector<double> offsets(const char* kind, int count) {
  std::vector<float> numbers;
  for (int i = 0; i <= count; ++i) numbers.push_back(static_cast<float>(i) / static_cast<float>(count));
  data::ConditionColumn x{.name = "x"};
  x.number = data::number_column("x", numbers, "", "here");
  ConditionRows rows;
  rows.columns = {numbers};
  const data::Vicinity vicinity({{x}}, rows, {.kind = kind, .sigma = 0.03, .kappa = 0.1});
  std::vector<double> found;
  const auto middle = static_cast<std::uint32_t>(count / 2);
  for (std::uint32_t step = 0; step < 8000; ++step) {
    ConditionRows y;
    y.columns = {std::vector<float>{numbers[middle]}};
    const std::uint32_t near = vicinity.draw(middle, base::RandomStream(1, 2, step), 0, 0, y);
    const double condition = static_cast<double>(y.numbers(0)[0]);
    if (condition > static_cast<double>(numbers[middle]))
      found.push_back((static_cast<double>(numbers[near]) - condition) / 0.1);
  }
  return found;
}

/// Samples are drawn by their weights alone, whatever the noise of the condition is, be few of them near it or many.
TEST(Vicinity, DrawsByWeight) {
  for (const int count : {200, 20000})
    for (const std::string kind : {"hard", "soft"}) {
      double mean = 0, square = 0;
      const std::vector<double> found = offsets(kind.c_str(), count);
      ASSERT_GT(found.size(), 3500u);
      for (const double offset : found) {
        mean += offset / static_cast<double>(found.size());
        square += offset * offset / static_cast<double>(found.size());
      }
      // Uniform on [-1, 1] has the variance 1/3, exp(-x^2) has 1/2.
      EXPECT_NEAR(mean, 0, 0.05) << kind << " " << count;
      EXPECT_NEAR(square, kind == "hard" ? 1.0 / 3 : 0.5, 0.04) << kind << " " << count;
    }
}

/// With a log scaling, noise and vicinities are of logarithms: conditions stay above 0.
TEST(Vicinity, KeepsTheDomainOfLogarithms) {
  std::vector<float> prices;
  for (int i = 0; i < 500; ++i) prices.push_back(std::exp(static_cast<float>(i % 100) * 0.1f));
  data::ConditionColumn price{.name = "price"};
  price.number = data::number_column("price", prices, "log", "here");
  price.number.fourier = 2;
  ConditionRows rows;
  rows.columns = {prices};
  const data::Vicinity vicinity({{price}}, rows, {.kind = "soft", .sigma = 1});
  EXPECT_NEAR(vicinity.widths()[0].kappa, 2.0 / 99, 1e-6);
  ConditionRows y = rows;
  int below = 0;
  for (std::uint32_t i = 0; i < 500; ++i) {
    const std::uint32_t near = vicinity.draw(i, base::RandomStream(1, 2, 3), i, i, y);
    const float value = y.numbers(0)[i];
    ASSERT_GT(value, 0);
    EXPECT_LE(std::abs(std::log(value / prices[near])), 0.201 * kFarthestSoft);  // kappa: twice the gap 0.1
    below += value < 1;
    float features[5];
    price.number.copy_features(static_cast<double>(value), features);
    for (const float feature : features) EXPECT_TRUE(std::isfinite(feature)) << value;
  }
  EXPECT_GT(below, 0);
}

/// 5 and 365 degrees lie within 15 degrees of 355; 12 and 40 do not.
TEST(Vicinity, GoesAroundAPeriod) {
  const std::vector<float> angles{355, 40, 12, 5, 365};
  data::ConditionColumn angle{.name = "angle"};
  angle.number = data::number_column("angle", angles, "", "here");
  angle.number.period = 360;
  ConditionRows rows;
  rows.columns = {angles};
  const data::Vicinity vicinity({{angle}}, rows, {.kind = "hard", .sigma = 1e-6, .kappa = 15.0 / 360});
  std::set<std::uint32_t> drawn;
  ConditionRows y;
  for (std::uint32_t step = 0; step < 200; ++step) {
    y.columns = {std::vector<float>{355}};
    drawn.insert(vicinity.draw(0, base::RandomStream(1, 2, step), 0, 0, y));
  }
  EXPECT_EQ(drawn, (std::set<std::uint32_t>{0, 3, 4}));
}

TEST(Condition, ValuesInTurnOfMoreColumnsThanBits) {
  ConditionSpec spec;
  for (int c = 0; c < 80; ++c)
    spec.columns.push_back({.name = "c" + std::to_string(c), .categories = c == 78 ? 3 : 2, .names = {}});
  EXPECT_EQ(data::values_period(spec), INT64_MAX);
  const ConditionRows y = data::values_in_turn(spec, 7);
  EXPECT_EQ(y.columns[79], data::ColumnValues(std::vector<std::int32_t>{0, 1, 0, 1, 0, 1, 0}));
  EXPECT_EQ(y.columns[78], data::ColumnValues(std::vector<std::int32_t>{0, 0, 1, 1, 2, 2, 0}));
  EXPECT_EQ(y.columns[77], data::ColumnValues(std::vector<std::int32_t>{0, 0, 0, 0, 0, 0, 1}));
  EXPECT_EQ(y.columns[0], data::ColumnValues(std::vector<std::int32_t>(7, 0)));
}

TEST(ConditionBadInput, ValuesWithoutALogarithm) {
  const float prices[] = {1, 10, 100};
  data::ConditionColumn price{.name = "price"};
  price.number = data::number_column("price", prices, "log", "here");
  ConditionRows y;
  y.columns = {std::vector<float>{5, 0}};
  expect_error(ErrorKind::usage, "price 0; expected numbers above 0", [&] { data::require_rows({{price}}, y, 2); });
  data::Dataset dataset;
  dataset.items = 2;
  dataset.source = "prices.csv";
  dataset.rows = y;
  dataset.condition = {{price}};
  dataset.condition.columns[0].number.scaling = {};
  expect_error(ErrorKind::data, "column price, row 2: 0", [&] { data::align_condition(dataset, {{price}}); });
}

TEST(ConditionBadInput, ManyNamesStayOneShortLine) {
  data::ConditionColumn column{.name = "kind", .categories = 3000, .names = {}};
  for (int i = 0; i < 3000; ++i) column.names.push_back("kind" + std::to_string(i));
  EXPECT_EQ(column.parse("kind2999"), 2999);
  try {
    column.parse("3000");
    ADD_FAILURE();
  } catch (const base::Error& error) {
    EXPECT_LT(std::string(error.what()).size(), 300u);
    EXPECT_NE(std::string(error.what()).find("kind19, ... (3000 names)"), std::string::npos) << error.what();
  }
}

/// The state of a new run with this condition that starts from a model, by name; what started anew is missing.
runtime::State started(const train::Model& model, const ConditionSpec& condition) {
  data::Dataset dataset;
  dataset.sample_shape = model.sample_shape;
  graph::Graph graph;
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, condition);
  runtime::State state;
  const std::string text = train::start_from(model, "m", dataset, condition, 1,
                                             train::build_step(graph, model.config, spec, {.batch = 4}), state);
  EXPECT_EQ(text.empty(), condition == model.condition) << text;
  return state;
}

/// Scales and shifts of a conditional batch norm start anew for all columns, and for a condition that comes or goes.
TEST(StartFrom, OtherConditionsOfABatchNorm) {
  train::Model model = two_columns();
  model.config.model.g.condition = "batch_norm";
  model.config.model.g.batch_norm = true;
  model.config.model.d.condition = "projection";
  const ConditionSpec conditions[] = {label_and_colour(), colour_and_angle(), {}};
  for (const ConditionSpec& from : conditions) {
    model.condition = from;
    graph::Graph graph;
    const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, from);
    model.weights.clear();
    nn::initialize(train::build_step(graph, model.config, spec, {.batch = 4}), /*seed=*/1, model.weights);
    for (const ConditionSpec& to : conditions) {
      const runtime::State state = started(model, to);
      for (const char* kept : {"generator.model.0.weight", "generator.model.1.running_mean",
                               "discriminator.model.0.weight", "discriminator.model.2.bias"})
        EXPECT_EQ(state.count(kept), 1u) << kept;
      for (const auto& [name, values] : state) {
        const bool scale = name.starts_with("generator.model.1.") && name.find("running") == std::string::npos;
        EXPECT_TRUE(from == to || !scale) << name;
      }
      if (from == to) {
        EXPECT_EQ(state.count(from.empty() ? "generator.model.1.weight" : "generator.model.1.colour.weight"), 1u);
      }
    }
  }
}

/// A class of ten and one of a thousand: each batch has as many of either.
TEST(Batches, BalancedClassesAreEquallyFrequent) {
  data::Dataset dataset;
  dataset.items = 1010;
  std::vector<std::int32_t> labels(1010, 1);
  for (std::size_t i = 0; i < 10; ++i) labels[i * 100] = 0;
  dataset.rows = std::move(labels);
  dataset.condition = data::label_condition(2);
  data::Batches batches(dataset, dataset.condition, {.seed = 5, .balance = true});
  std::set<std::uint32_t> rare;
  for (int step = 0; step < 20; ++step) {
    const data::Batches::Batch batch = batches.at(step, 16);
    EXPECT_EQ(std::ranges::count(batch.y.labels(), 0), 8);
    for (const std::uint32_t i : batch.samples) {
      if (dataset.labels()[i] == 0) rare.insert(i);
    }
  }
  EXPECT_EQ(rare.size(), 10u);
}

/// 300 classes of eight images each, labels as 32-bit integers.
TEST(CliCondition, MoreThan256Classes) {
  const Folder folder;
  std::string images, labels;
  for (int i = 0; i < 2400; ++i) {
    const int label = i / 8;
    for (int pixel = 0; pixel < 16; ++pixel)
      images += static_cast<char>(label >> (pixel % 9) & 1 ? 200 + i % 8 : pixel);
    labels += {0, 0, static_cast<char>(label >> 8), static_cast<char>(label & 0xff)};
  }
  put(folder / "x.idx", idx({2400, 4, 4}, images));
  put(folder / "y.idx", idx({2400}, labels, /*type=*/0x0c));
  const std::string run_folder = folder / "run";
  for (const char* condition : {"embedding", "one_hot", "projection", "auxiliary"})
    expect_done(folder,
                train_args(folder, std::string("run-") + condition,
                           {"--steps", "3", "--quiet", "--set", std::string("model.d.condition=") + condition}));
  expect_done(folder, train_args(folder, "run", {"--steps", "3", "--quiet"}));
  EXPECT_EQ(train::load_model(run_folder).condition.classes(), 300);
  expect_done(folder, {"sample", run_folder, "--label", "299", "--count", "3", "--out", folder / "x.npy"});
  expect_refused(folder, {"sample", run_folder, "--label", "300", "--out", folder / "x.npy"}, 2, "expected 0 to 299");
  const Result scores = run(folder, {"eval", run_folder, "--data", source(folder), "--count", "600", "--json",
                                     "--cache", folder / "cache", "--out", folder / "eval"});
  EXPECT_EQ(scores.code, 0) << scores.err;
  const auto json = nlohmann::json::parse(scores.out, nullptr, false);
  EXPECT_EQ(json.value("per_class", nlohmann::json::array()).size(), 300u) << scores.out.substr(0, 500);
  EXPECT_FALSE(json.contains("confusion"));
  EXPECT_NE(json["missing"].value("confusion", "").find("at most 256"), std::string::npos);
  expect_done(folder, {"report", run_folder, "--out", folder / "r.html"});
}

}  // namespace
}  // namespace gan::test
