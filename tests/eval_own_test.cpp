// Evaluation on data of one's own: conditions of several columns and numbers, vectors with units, points around a
// circle. The generators are linear, their weights set by hand, so that the scores are known.
#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <functional>
#include <nlohmann/json.hpp>
#include <numbers>
#include <numeric>
#include <span>
#include <string>
#include <type_traits>
#include <variant>
#include <vector>

#include "base/random.h"
#include "data/source.h"
#include "eval/run_scores.h"
#include "eval_helpers.h"
#include "file_helpers.h"
#include "io/safetensors.h"

namespace gan::test {
namespace {

using base::ErrorKind;
using data::ConditionColumn;
using data::ConditionSpec;
using data::Dataset;
using eval::Judge;
using eval::Reference;
using eval::Scores;

ConditionColumn numeric(const std::string& name, std::span<const float> values, double period = 0,
                        const std::string& unit = "") {
  ConditionColumn column{.name = name, .number = data::number_column(name, values, "", "here")};
  column.number.unit = unit;
  column.number.period = period;
  return column;
}

/// A generator that is linear in its latents and in what the condition becomes: output `o` is bias[o] + the sum of
/// weights[o] times the inputs [latents, one-hot categories or features of numbers, column by column]; of images the
/// tanh of it. Every input comes twice, with either sign, since the layer between cuts off below 0.
train::Model linear_model(const graph::Shape& shape, const ConditionSpec& condition, std::int64_t latent,
                          const std::vector<std::vector<float>>& weights, const std::vector<float>& bias) {
  train::Model model;
  std::int64_t embedding = 1;
  for (const ConditionColumn& column : condition.columns) embedding = std::max(embedding, column.width());
  const auto columns = static_cast<std::int64_t>(condition.columns.size());
  const std::int64_t inputs = latent + columns * embedding;
  model.config.model.latent = latent;
  model.config.model.embedding = embedding;
  model.config.model.g.widths = {2 * inputs};
  model.config.model.g.activation = "relu";
  model.config.model.d.widths = {4};
  model.sample_shape = shape;
  model.condition = condition;
  model.data_name = "made by hand";
  model.steps = 7;
  give_zero_weights(model);
  for (const ConditionColumn& column : condition.columns) {
    const std::string name = column.name == "label" ? "" : "." + column.name;
    const std::span<float> table = model.weights.at("generator.embedding" + name + ".weight").f32();
    const std::int64_t width = column.width(), step = column.is_numeric() ? width : embedding;  // [out, in]: identity
    for (std::int64_t i = 0; i < width; ++i) table[static_cast<std::size_t>(i * step + i)] = 1;
  }
  const std::span<float> hidden = model.weights.at("generator.model.0.weight").f32();
  const std::span<float> out = model.weights.at("generator.model.2.weight").f32();
  for (std::size_t i = 0, n = static_cast<std::size_t>(inputs); i < n; ++i) {
    hidden[2 * i * n + i] = 1;
    hidden[(2 * i + 1) * n + i] = -1;
    for (std::size_t o = 0; o < weights.size(); ++o) {
      out[o * 2 * n + 2 * i] = weights[o][i];
      out[o * 2 * n + 2 * i + 1] = -weights[o][i];
    }
  }
  std::ranges::copy(bias, model.weights.at("generator.model.2.bias").f32().begin());
  return model;
}

Scores evaluate(Judge& judge, const train::Model& model, std::int64_t count = 0) {
  eval::Options options;
  options.count = count;
  options.parzen = false;
  return judge.evaluate(model, options).scores;
}

// ---- images with a label and an angle ----

constexpr std::int64_t kSide = 8, kPixels = kSide * kSide;
const std::vector<std::string> kNames{"high", "low", "middle"};  // sorted, as classes are

/// Rows 2k and 2k + 1 of class k are lit; the last two rows are 128 + 60 sin and 128 + 60 cos of the angle; there is
/// noise of up to 20 everywhere.
Dataset bars(std::int64_t count, std::uint64_t seed, int classes = 3, bool angles = true) {
  const base::RandomStream random(seed, 1);
  Dataset images;
  images.source = images.name = "bars";
  images.hash = "bars " + std::to_string(classes);
  images.sample_shape = {1, kSide, kSide};
  images.items = count;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[static_cast<std::size_t>(count * kPixels)]);
  std::vector<std::int32_t> labels;
  std::vector<float> numbers;
  for (std::int64_t i = 0; i < count; ++i) {
    labels.push_back(static_cast<std::int32_t>(i % classes));
    const double angle = 2 * std::numbers::pi * random.uniform(static_cast<std::uint64_t>(i * 100 + 99));
    numbers.push_back(static_cast<float>(180 / std::numbers::pi * angle));
    for (std::int64_t p = 0; p < kPixels; ++p) {
      const std::int64_t row = p / kSide;
      const double value = row == 6                   ? 128 + 60 * std::sin(angle)
                           : row == 7                 ? 128 + 60 * std::cos(angle)
                           : row / 2 == labels.back() ? 200
                                                      : 20;
      const double noise = 20 * (random.uniform(static_cast<std::uint64_t>(i * 100 + p)) - 0.5);
      pixels[static_cast<std::size_t>(i * kPixels + p)] = static_cast<std::uint8_t>(std::lround(value + noise));
    }
  }
  images.pixels = pixels;
  images.condition = data::label_condition(classes, {kNames.begin(), kNames.begin() + classes});
  if (angles) images.condition.columns.push_back(numeric("angle", numbers, 360, "degrees"));
  images.rows.columns.emplace_back(std::move(labels));
  if (angles) images.rows.columns.emplace_back(std::move(numbers));
  return images;
}

Reference bars_reference(int classes = 3, bool angles = true) {
  Reference reference{bars(600, 1, classes, angles), bars(300, 2, classes, angles), "test part of bars", "bars"};
  data::align_condition(reference.held_out, reference.train.condition);
  return reference;
}

/// Draws such images, of class (k + turn) % 3 for class k, the angle turned by 0 or 180 degrees.
train::Model bars_model(const ConditionSpec& condition, int turn = 0, bool half_turn = false) {
  constexpr std::size_t kLatent = 16;
  std::vector<std::vector<float>> weights;
  std::vector<float> bias;
  const std::size_t width = condition.columns.size() > 1 ? 3 : 0;
  for (std::int64_t p = 0; p < kPixels; ++p) {
    const std::int64_t row = p / kSide;
    std::vector<float>& mine = weights.emplace_back(kLatent + 3 + width);
    bias.push_back(row < 6 ? -1.25f : 0);  // tanh of it is -0.85, about 20
    mine[static_cast<std::size_t>(p) % kLatent] = row < 6 ? 0.15f : 0.03f;
    for (int k = 0; k < 3; ++k)
      if (row / 2 == (k + turn) % 3) mine[kLatent + static_cast<std::size_t>(k)] = 1.9f;
    if (row >= 6 && width > 0) mine[kLatent + 3 + static_cast<std::size_t>(row - 6)] = half_turn ? -0.5f : 0.5f;
  }
  return linear_model({1, kSide, kSide}, condition, kLatent, weights, bias);
}

TEST(EvalRegressor, ReadsAnglesAroundTheCircleAndIsKept) {
  const TemporaryFolder folder;
  const Reference reference = bars_reference();
  std::vector<std::string> lines;
  const eval::Log log = [&](const std::string& line) { lines.push_back(line); };
  const eval::Classifier trained = eval::cached_regressor(reference, folder.path(), log);
  ASSERT_FALSE(lines.empty());
  EXPECT_NE(lines.front().find("training a regressor"), std::string::npos) << lines.front();
  EXPECT_EQ(trained.classes, 0);
  EXPECT_EQ(trained.outputs(), 2);
  const eval::Embedded read = eval::Embedder(trained).embed(reference.held_out);
  EXPECT_TRUE(read.classes.empty());
  ASSERT_EQ(read.numbers.size(), 300u);
  for (const float angle : read.numbers) EXPECT_TRUE(angle >= 0 && angle <= 360) << angle;

  lines.clear();
  const eval::Classifier kept = eval::cached_regressor(reference, folder.path(), log);
  EXPECT_EQ(lines, std::vector<std::string>());
  EXPECT_EQ(runtime::hash_of(kept.weights), runtime::hash_of(trained.weights));
  EXPECT_EQ(kept.numbers, trained.numbers);
  // The classifier of the same data has a file of its own.
  eval::cached_classifier(reference, folder.path(), log);
  const std::filesystem::directory_iterator files(folder / "classifiers"), end;
  EXPECT_EQ(std::distance(files, end), 2);
}

TEST(EvalRegressor, BadInput) {
  const TemporaryFolder folder;
  const auto refused = [&](const Dataset& images, const std::string& message) {
    expect_error(ErrorKind::usage, message, [&] { eval::train_regressor(images, 0, nullptr); });
  };
  refused(bars(20, 1, 3, false), "its condition has no numbers");
  Dataset constant = bars(20, 1);
  constant.rows.columns[1] = std::vector<float>(20, 5.0f);
  refused(constant, "are constant");
  refused(data::open_source("ring8"), "it is for images");

  const std::string path = folder / "r.safetensors";
  const auto refuse_file = [&](const std::string& numbers, const std::string& message) {
    const std::string json = R"({"sample_shape": [1, 8, 8], "classes": 0, "numbers": )" + numbers +
                             R"(, "data": {"name": "x", "sha256": ""}})";
    io::write_safetensors(path, {{"format", "gan.cpp classifier"}, {"version", "1"}, {"classifier", json}}, {});
    expect_error(ErrorKind::data, message, [&] { eval::load_classifier(path); });
  };
  refuse_file("[]", "a classifier of images");
  refuse_file("7", "r.safetensors");
  refuse_file(R"([{"name": "k", "kind": "categorical", "categories": 3, "names": []}])", "expected numbers");
  refuse_file(R"([{"name": "a", "kind": "numeric"}])", "cannot be read");
}

TEST(EvalOwn, LabelsAndAnglesAreReadFromSamples) {
  Reference reference = bars_reference();
  const ConditionSpec condition = reference.train.condition;
  eval::Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  eval::Classifier regressor = eval::train_regressor(reference.train, 0, nullptr);
  Judge judge(std::move(reference), {std::move(classifier), std::move(regressor)});
  const Scores good = evaluate(judge, bars_model(condition), 450);
  EXPECT_EQ(good.drawn, Scores::Drawn::as_reference);
  EXPECT_GE(good.label_accuracy.value(), 0.98);
  ASSERT_EQ(good.numbers.size(), 1u);
  EXPECT_EQ(good.numbers[0].name, "angle");
  EXPECT_EQ(good.numbers[0].unit, "degrees");
  EXPECT_LT(good.numbers[0].own_error, 15);
  EXPECT_LT(good.numbers[0].error, 2 * good.numbers[0].own_error);
  EXPECT_EQ(good.per_class.size(), 3u);
  EXPECT_TRUE(good.fd && good.kid && good.prdc && good.spread && good.memorization);
  EXPECT_TRUE(good.numbers[0].unseen.empty());  // no value repeats, so nearly all would be unseen

  const Scores turned = evaluate(judge, bars_model(condition, 0, true), 450);
  EXPECT_GE(turned.label_accuracy.value(), 0.98);
  EXPECT_GT(turned.numbers[0].error, 160);  // around the circle no two angles are farther than 180
  EXPECT_LT(turned.numbers[0].error, 180);
  // As a whole the turned images are like the data, in no window of angles.
  ASSERT_EQ(good.numbers[0].windows.size(), 20u);  // around the circle
  ASSERT_EQ(turned.numbers[0].windows.size(), 20u);
  EXPECT_GT(good.numbers[0].windows[19].low, 300);
  EXPECT_LT(good.numbers[0].windows[19].high, 60);
  for (std::size_t i = 0; i < 20; ++i)
    EXPECT_GT(turned.numbers[0].windows[i].fd.value, 2 * good.numbers[0].windows[i].fd.value) << i;
  EXPECT_LT(eval::joint_score(turned).value(), 0.5 * eval::joint_score(good).value());
  EXPECT_LE(evaluate(judge, bars_model(condition, 1), 450).label_accuracy.value(), 0.02);

  const auto json = read_json(good);
  EXPECT_EQ(json.at("numbers").at(0).at("name"), "angle");
  EXPECT_EQ(json.at("numbers").at(0).at("own_error"), good.numbers[0].own_error);
  const std::string text = eval::to_text(good, "m");
  for (const char* part : {"with the conditions of the reference", "\nangle ", " degrees  mean absolute error"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(EvalOwn, NumbersThatTheTrainingDataLacksAreNamed) {
  Reference reference = bars_reference();
  // Angles are multiples of 30 degrees, and the training data has none of 90.
  for (Dataset* part : {&reference.train, &reference.held_out}) {
    auto& angles = std::get<std::vector<float>>(part->rows.columns[1]);
    for (float& angle : angles) {
      angle = 30 * std::round(angle / 30);
      if (part == &reference.train && angle == 90) angle = 60;
    }
  }
  const ConditionSpec condition = reference.train.condition;
  eval::Classifier regressor = eval::train_regressor(reference.train, 0, nullptr);
  Judge judge(std::move(reference), {.regressor = std::move(regressor)});
  const Scores scores = evaluate(judge, bars_model(condition), 450);
  EXPECT_EQ(scores.numbers.at(0).unseen, std::vector<double>{90});
  EXPECT_GT(scores.numbers[0].unseen_error.value(), scores.numbers[0].error);
  EXPECT_NE(eval::to_text(scores, "m").find("1 value that the training data lacks: 90; error there"),
            std::string::npos);
  EXPECT_EQ(read_json(scores).at("numbers").at(0).at("unseen").at("values"), std::vector<double>{90});
}

TEST(EvalOwn, ImagesWithNumbersAloneAreComparedByTheRegressor) {
  Reference reference = bars_reference();
  for (Dataset* part : {&reference.train, &reference.held_out}) {
    part->condition.columns.erase(part->condition.columns.begin());
    part->rows.columns.erase(part->rows.columns.begin());
  }
  const ConditionSpec condition = reference.train.condition;
  eval::Classifier regressor = eval::train_regressor(reference.train, 0, nullptr);
  const train::Model model = linear_model({1, kSide, kSide}, condition, 4,
                                          std::vector<std::vector<float>>(kPixels, std::vector<float>(6)), {});
  Judge judge(reference, {.regressor = std::move(regressor)});
  const Scores scores = evaluate(judge, model, 200);
  EXPECT_TRUE(scores.fd && scores.prdc && scores.embedding && !scores.embedding->accuracy);
  EXPECT_GT(scores.numbers.at(0).error, 45);  // one grey image
  EXPECT_FALSE(scores.label_accuracy);
  EXPECT_EQ(reason(scores, "label_accuracy"), "");  // nobody asked for labels
  const TemporaryFolder folder;
  eval::Options options;
  options.count = 105;  // not a multiple of ten
  eval::write_report(folder / "out", judge.evaluate(model, options), judge.reference(), "m");
  EXPECT_EQ(get(folder / "out/samples.png").substr(1, 3), "PNG");

  Judge blind(std::move(reference));
  const Scores pixels = evaluate(blind, model, 200);
  EXPECT_TRUE(pixels.spread && pixels.memorization && pixels.numbers.empty());
  EXPECT_EQ(reason(pixels, "numbers"), "needs a regressor");
}

TEST(EvalOwn, ClassesAreMatchedByNameAndMayBeFewer) {
  Reference reference = bars_reference(3, false);
  const ConditionSpec all = data::label_condition(4, {"deep", "high", "low", "middle"});
  eval::Classifier classifier = eval::train_classifier(reference.train, 0, nullptr);
  // Class 1 of the model is class 0 of the data, and so on; "deep" draws no lit row.
  std::vector<std::vector<float>> weights(kPixels, std::vector<float>(20));
  for (std::size_t p = 0; p < 48; ++p) {
    weights[p][p % 16] = 0.15f;
    weights[p][17 + p / 16] = 1.9f;
  }
  std::vector<float> bias(kPixels, -1.25f);
  std::fill(bias.begin() + 48, bias.end(), 0.0f);
  const train::Model model = linear_model({1, kSide, kSide}, all, 16, weights, bias);
  Judge judge(std::move(reference), {.embedding = std::move(classifier)});
  const Scores scores = evaluate(judge, model, 300);
  EXPECT_EQ(scores.drawn, Scores::Drawn::as_reference);
  EXPECT_GE(scores.label_accuracy.value(), 0.98);
  EXPECT_EQ(scores.class_names, kNames);
  ASSERT_EQ(scores.per_class.size(), 3u);
  const auto note = std::ranges::find_if(
      scores.notes, [](const std::string& text) { return text.find("not scored: deep") != std::string::npos; });
  EXPECT_NE(note, scores.notes.end());
}

TEST(EvalOwn, BadInput) {
  const Reference reference = bars_reference(3, false);
  const auto refuse = [&](ErrorKind kind, const ConditionSpec& condition, const std::string& message) {
    expect_error(kind, message, [&] {
      eval::require_fit(linear_model({1, kSide, kSide}, condition, 1, {}, {}), reference);
    });
  };
  const float values[] = {0, 1, 2};
  refuse(ErrorKind::data, data::label_condition(2, {"high", "low"}), "label \"middle\" is none of");
  refuse(ErrorKind::data, {{numeric("angle", values)}}, "has no column angle");
  refuse(ErrorKind::data, {{numeric("label", values)}}, "column label holds categories, the condition needs numbers");
  train::Model other = linear_model({1, kSide, kSide}, reference.train.condition, 1, {}, {});
  other.units.high = 1;
  expect_error(ErrorKind::usage, "other units", [&] { eval::require_fit(other, reference); });
}

TEST(EvalOwn, EveryClassStaysInTheTrainingPart) {
  const TemporaryFolder folder;
  const auto source = [&](int images_of_class) {  // 20 classes
    std::string images, labels;
    for (int i = 0; i < 20 * images_of_class; ++i)
      images += static_cast<char>(i), labels += static_cast<char>(i / images_of_class);
    const auto count = static_cast<std::uint32_t>(labels.size());
    return put(folder / "x.idx", idx({count, 1, 1}, images)) + "," + put(folder / "y.idx", idx({count}, labels));
  };
  const Reference reference = eval::open_reference(source(2), {});
  EXPECT_EQ(reference.held_out.count(), 4);
  std::vector<int> seen(20);
  for (const std::int32_t label : reference.train.labels()) ++seen[static_cast<std::size_t>(label)];
  EXPECT_EQ(std::ranges::count(seen, 0), 0);
  const std::string single = source(1);
  expect_error(ErrorKind::data, "20 samples of as many classes", [&] { eval::open_reference(single, {}); });
}

// ---- vectors ----

/// Rows [length, mass] with the condition (kind of 2 names, size): length = 10 + 2 size + 4 kind + N(0, 1), mass = 1 -
/// 3 size + 0.5 N(0, 1). The columns have a standard scaling.
Dataset table(std::int64_t count, std::uint64_t seed) {
  const base::RandomStream random(seed, 1);
  Dataset rows;
  rows.source = rows.name = "table";
  rows.hash = "table";
  rows.sample_shape = {2};
  rows.items = count;
  std::vector<std::int32_t> kinds;
  std::vector<float> sizes, columns[2];
  for (std::int64_t i = 0; i < count; ++i) {
    const auto normal = [&](std::uint64_t k) { return random.normal(static_cast<std::uint64_t>(i) * 4 + k); };
    kinds.push_back(static_cast<std::int32_t>(i / (count / 2) % 2));  // sorted
    sizes.push_back(normal(0));
    columns[0].push_back(10 + 2 * sizes.back() + 4 * static_cast<float>(kinds.back()) + normal(1));
    columns[1].push_back(1 - 3 * sizes.back() + 0.5f * normal(2));
  }
  rows.units.columns = {data::number_column("length", columns[0], "standard", "here"),
                        data::number_column("mass", columns[1], "standard", "here")};
  rows.units.columns[0].unit = "mm";
  for (std::size_t i = 0; i < static_cast<std::size_t>(count); ++i)
    for (std::size_t c = 0; c < 2; ++c)
      rows.points.push_back(
          static_cast<float>(rows.units.columns[c].scaling.apply(static_cast<double>(columns[c][i]))));
  rows.condition.columns = {{.name = "kind", .categories = 2, .names = {"a", "b"}}, numeric("size", sizes)};
  rows.rows.columns.emplace_back(std::move(kinds));
  rows.rows.columns.emplace_back(std::move(sizes));
  return rows;
}

Reference table_reference() {
  Reference reference{table(2000, 1), table(500, 2), "test part of table", "table"};
  data::convert_units(reference.held_out, reference.train.units);
  data::align_condition(reference.held_out, reference.train.condition);
  return reference;
}

/// Draws such rows; `follows`: 1, or 0 to ignore the condition (with as much spread); `shift` moves length by as many
/// deviations.
train::Model table_model(const Reference& reference, bool follows = true, float shift = 0) {
  const std::vector<data::NumberColumn>& columns = reference.train.units.columns;
  const data::Scaling& size = reference.train.condition.columns[1].number.scaling;
  const auto scaled = [&](std::size_t c, double value) { return static_cast<float>(value / columns[c].scaling.scale); };
  const auto at = [&](std::size_t c, double value) { return static_cast<float>(columns[c].scaling.apply(value)); };
  std::vector<std::vector<float>> weights;  // latents, kinds (2), size, unused
  if (follows)
    weights = {{scaled(0, 1), 0, 0, scaled(0, 4), scaled(0, 2 * size.scale), 0},
               {0, scaled(1, 0.5), 0, 0, scaled(1, -3 * size.scale), 0}};
  else
    weights = {{1, 0, 0, 0, 0, 0}, {0, 1, 0, 0, 0, 0}};
  std::vector<float> bias{at(0, 10 + 2 * size.offset) + shift, at(1, 1 - 3 * size.offset)};
  if (!follows) bias = {shift, 0};
  train::Model model = linear_model({2}, reference.train.condition, 2, weights, bias);
  model.units = reference.train.units;
  model.data_hash = reference.hash;
  return model;
}

TEST(EvalOwn, TablesAreComparedColumnByColumn) {
  const Reference reference = table_reference();
  Judge judge(reference);
  const Scores good = evaluate(judge, table_model(reference));
  EXPECT_EQ(good.samples, 2500);
  EXPECT_EQ(good.drawn, Scores::Drawn::as_reference);
  ASSERT_EQ(good.columns.size(), 2u);
  EXPECT_EQ(good.columns[0].name, "length");
  EXPECT_NEAR(good.chance_distance, 1.358 * std::sqrt(3000.0 / (500 * 2500)), 1e-12);
  for (const eval::ColumnScore& column : good.columns) {
    EXPECT_LT(column.distance, good.chance_distance) << column.name;
    EXPECT_NEAR(column.mean, column.real_mean, 0.2) << column.name;
    EXPECT_NEAR(column.deviation, column.real_deviation, 0.2) << column.name;
  }
  EXPECT_NEAR(good.columns[0].real_mean, 12, 0.3);  // in the data's units
  EXPECT_LT(good.correlations.value().difference.largest, 0.08);
  EXPECT_EQ(good.correlations->names, (std::vector<std::string>{"length", "mass", "size"}));
  EXPECT_GT(good.label_accuracy.value(), 0.9 * good.own_label_accuracy.value());
  EXPECT_LT(good.numbers.at(0).error, 1.3 * good.numbers.at(0).own_error);
  EXPECT_GT(good.prdc.value().coverage, 0.9);
  EXPECT_LT(good.duplicates.value(), 0.01);
  EXPECT_NEAR(good.memorization.value().share_closer.value(), 0.5, 0.1);
  EXPECT_GT(eval::joint_score(good).value(), 0.9);
  EXPECT_NEAR(good.two_sample_auc.value(), 0.5, 0.05);
  EXPECT_EQ(good.notes, std::vector<std::string>());
}

TEST(EvalOwn, CopiesOfRowsAreFoundThoughTheTableRepeatsItself) {
  Reference reference = table_reference();
  const train::Model model = table_model(reference);
  std::vector<std::uint32_t> rows(300);  // 200 of the training part and 100 others are held out
  std::iota(rows.begin(), rows.end(), 0U);
  std::vector<std::uint32_t> mine = rows;
  mine.resize(200);
  data::Dataset repeated = data::subset(reference.train, mine);
  const data::Dataset own = data::subset(reference.held_out, {rows.begin() + 200, rows.end()});
  repeated.points.insert(repeated.points.end(), own.points.begin(), own.points.end());
  repeated.items = 300;
  for (std::size_t c = 0; c < repeated.rows.columns.size(); ++c)
    std::visit(
        [&](auto& values) {
          const auto& more = std::get<std::remove_reference_t<decltype(values)>>(own.rows.columns[c]);
          values.insert(values.end(), more.begin(), more.end());
        },
        repeated.rows.columns[c]);
  reference.held_out = std::move(repeated);
  const data::Dataset train = reference.train;
  Judge judge(std::move(reference));
  const Scores drawn = evaluate(judge, model), copies = judge.judge(train, {}).scores;
  EXPECT_EQ(drawn.reference_in_training, 200);
  EXPECT_LT(drawn.memorization.value().held_out_copies.value(), 0.1);
  EXPECT_FALSE(drawn.memorization->copied());
  EXPECT_TRUE(copies.memorization.value().copied()) << copies.memorization->copies;
  EXPECT_NE(eval::to_text(drawn, "m").find("200 of them in the training part, too"), std::string::npos);
}

TEST(EvalOwn, TablesTellWhatIsWrong) {
  const Reference reference = table_reference();
  Judge judge(reference);
  const double good = eval::joint_score(evaluate(judge, table_model(reference))).value();
  // Normal distributions a deviation apart: 2 Phi(1/2) - 1.
  const Scores shifted = evaluate(judge, table_model(reference, true, 1));
  EXPECT_NEAR(shifted.columns[0].distance, 0.383, 0.08);
  EXPECT_LT(shifted.columns[1].distance, shifted.chance_distance);
  EXPECT_LT(eval::joint_score(shifted).value(), good);
  EXPECT_GT(shifted.two_sample_auc.value(), 0.65);
  EXPECT_EQ(read_json(shifted).at("two_sample_auc"), *shifted.two_sample_auc);

  // The columns by themselves are nearly right if the condition is ignored.
  const Scores blind = evaluate(judge, table_model(reference, false));
  EXPECT_LT(blind.mean_distance(), 0.1);
  EXPECT_GT(blind.correlations.value().difference.largest, 0.5);
  EXPECT_NEAR(blind.label_accuracy.value(), 0.5, 0.1);
  EXPECT_GT(blind.numbers.at(0).error, 2 * blind.numbers.at(0).own_error);
  EXPECT_LT(eval::joint_score(blind).value(), 0.8 * good);

  const auto json = read_json(blind);
  EXPECT_EQ(json.at("columns").at(0).at("unit"), "mm");
  EXPECT_EQ(json.at("ks").at("mean"), blind.mean_distance());
  EXPECT_EQ(json.at("correlations").at("real").at(2).size(), 3u);
  EXPECT_EQ(json.at("correlations").at("pairs").at(0).at("columns").at(1), "size");
  const std::string text = eval::to_text(blind, "m");
  for (const char* part : {"\nKS distance ", "\ncorrelations ", "\ndiffer most ", "\nlength  ", "of held-out rows"})
    EXPECT_NE(text.find(part), std::string::npos) << part << "\n" << text;
}

TEST(EvalOwn, VectorsOfFewRowsLeaveFewScores) {
  Reference reference = table_reference();
  const train::Model model = table_model(reference);
  std::vector<std::uint32_t> few(9);
  for (std::uint32_t i = 0; i < 9; ++i) few[i] = 200 * i;
  reference.train = data::subset(reference.train, few);
  for (std::uint32_t& i : few) i /= 5;
  reference.held_out = data::subset(reference.held_out, few);
  Judge judge(std::move(reference));
  const Scores scores = evaluate(judge, model);
  EXPECT_EQ(reason(scores, "columns"), "reference has 9 rows, needs 10");
  EXPECT_EQ(reason(scores, "coverage"), "reference has 9 training rows, needs 10");
  EXPECT_EQ(reason(scores, "score"), "needs the distances of columns");
  read_json(scores);
}

TEST(EvalOwn, TheBestModelOfATableIsKept) {
  const Reference reference = table_reference();
  Judge judge(reference);
  judge.drop_training_part();
  eval::RunScores scores(std::move(judge));
  EXPECT_EQ(scores.warning(), "");
  const TemporaryFolder folder;
  const auto here = [&] { return std::filesystem::path(folder.path()); };
  train::Model good = table_model(reference), blind = table_model(reference, false);
  good.steps = 1, blind.steps = 2;
  const std::string line = scores.evaluate(good, 1, here);
  for (const char* part : {"KS distance 0.0", "size ", "best so far"})
    EXPECT_NE(line.find(part), std::string::npos) << line;
  scores.evaluate(blind, 2, here);
  const train::Model best = train::load_model(folder / "best.safetensors");
  EXPECT_EQ(best.steps, 1);
  EXPECT_EQ(best.units, good.units);
  const std::string lines = get(folder / "scores.jsonl");
  const auto json = nlohmann::json::parse(lines.substr(0, lines.find('\n')));
  EXPECT_TRUE(json.contains("ks") && json.contains("score") && json.at("numbers").contains("size"));
}

// ---- units ----

TEST(EvalOwn, UnitsOfAReferenceBecomeThoseOfTheModel) {
  Dataset rows = table(100, 3);
  const data::SampleUnits own = rows.units;
  std::vector<double> values;
  for (std::size_t i = 0; i < rows.points.size(); ++i)
    values.push_back(own.columns[i % 2].scaling.undo(static_cast<double>(rows.points[i])));
  data::SampleUnits other = own;
  other.columns[0].scaling = {.kind = "log", .offset = 2, .scale = 0.5};
  other.columns[1].scaling = {.kind = "minmax", .offset = 1, .scale = 9};
  data::convert_units(rows, other);
  EXPECT_EQ(rows.units, other);
  for (std::size_t i = 0; i < values.size(); ++i)
    ASSERT_NEAR(other.columns[i % 2].scaling.undo(static_cast<double>(rows.points[i])), values[i], 1e-4) << i;
  data::convert_units(rows, {});  // unnamed and not scaled
  for (std::size_t i = 0; i < values.size(); ++i) ASSERT_NEAR(static_cast<double>(rows.points[i]), values[i], 1e-4);

  Dataset image = bars(1, 1, 3, false);
  image.units = {.low = 0, .high = 1};
  const std::shared_ptr<const std::uint8_t[]> before = image.pixels;
  data::convert_units(image, {.low = -1, .high = 1});
  for (std::size_t p = 0; p < kPixels; ++p) ASSERT_NEAR(image.pixels[p], 127.5 + before[p] / 2.0, 0.51);
  data::convert_units(image, {.low = 0.5, .high = 1});  // values below are cut off
  for (std::size_t p = 0; p < kPixels; ++p)
    ASSERT_NEAR(image.pixels[p], std::max(0.0, 2.0 * before[p] - 255), 2.1) << p;
}

TEST(EvalOwn, UnitsBadInput) {
  const auto refuse = [](const std::function<void(data::SampleUnits&)>& change, const std::string& message) {
    Dataset rows = table(100, 3);
    data::SampleUnits units = rows.units;
    change(units);
    expect_error(ErrorKind::data, message, [&] { data::convert_units(rows, units); });
  };
  refuse([](auto& units) { units.columns[1].name = "weight"; }, "column 2 is mass, expected weight");
  refuse([](auto& units) { units.columns.pop_back(); }, "1 column for vectors of 2");
  refuse([](auto& units) { units.columns[1].scaling.kind = "log"; }, "column mass: -");
}

// ---- points around a circle ----

Dataset circle(bool conditional = true) {
  const base::RandomStream random(1, 1);
  Dataset points;
  points.source = points.name = "circle";
  points.hash = "circle";
  points.sample_shape = {2};
  points.items = 1200;
  points.circle_radius = 1;
  points.mode_deviation = 0.02f;
  std::vector<float> angles;
  for (std::uint64_t i = 0; i < 1200; ++i) {
    angles.push_back(static_cast<float>(3 * (i % 120)));
    const double angle = std::numbers::pi / 180 * static_cast<double>(angles.back());
    const auto noise = random.normals(i);
    points.points.push_back(static_cast<float>(std::cos(angle)) + 0.02f * noise[0]);
    points.points.push_back(static_cast<float>(std::sin(angle)) + 0.02f * noise[1]);
  }
  if (!conditional) return points;
  points.condition.columns = {numeric("angle", angles, 360, "degrees")};
  points.rows.columns.emplace_back(std::move(angles));
  return points;
}

TEST(EvalOwn, PointsAroundACircleAreJudgedAtUnseenAngles) {
  const Dataset points = circle();
  Judge judge(Reference{.train = points, .held_out = points, .name = "circle", .hash = "circle"});
  const auto model = [&](float deviation, float radius) {  // latents, sin, cos
    return linear_model({2}, points.condition, 2, {{deviation, 0, 0, radius}, {0, deviation, radius, 0}}, {0, 0});
  };
  eval::Options options;
  const eval::Evaluation good = judge.evaluate(model(0.02f, 1), options);
  EXPECT_EQ(good.scores.samples, 3600);
  const std::span<const float> angles = good.samples.rows.numbers(0);
  EXPECT_EQ(angles[0], 1.5f);  // halfway between 0 and 3
  EXPECT_EQ(angles[361], 2.5f);
  ASSERT_TRUE(good.scores.modes);
  EXPECT_EQ(good.scores.modes->found, 360);
  EXPECT_EQ(good.scores.modes->of, 360);
  EXPECT_GT(good.scores.modes->high_quality, 0.99);  // 1 - exp(-8) is expected
  EXPECT_GT(eval::joint_score(good.scores).value(), 0.99);
  EXPECT_EQ(evaluate(judge, model(0, 1.1f)).modes.value().high_quality, 0);
  EXPECT_EQ(evaluate(judge, model(0, 1.07f)).modes.value().high_quality, 1);
  const Scores wide = evaluate(judge, model(0.04f, 1));
  EXPECT_NEAR(wide.modes.value().high_quality, 1 - std::exp(-2), 0.02);
  EXPECT_NE(eval::to_text(wide, "m").find("within 4 deviations of the centre of their angle"), std::string::npos);
  EXPECT_EQ(read_json(wide).at("modes").at("deviations"), 4);
  EXPECT_EQ(reason(evaluate(judge, model(0.02f, 1), 3599), "modes"), "3,599 samples, needs 3,600");

  // Without angles there is no centre to compare with.
  const train::Model ring = linear_model({2}, {}, 2, {{1, 0}, {0, 1}}, {0, 0});
  const Scores distances = evaluate(judge, ring);
  EXPECT_FALSE(distances.modes);
  EXPECT_EQ(distances.columns.size(), 2u);
  EXPECT_EQ(distances.columns[1].name, "1");
}

}  // namespace
}  // namespace gan::test
