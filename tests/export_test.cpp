#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>
#include <vector>

#include "base/file.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "eval/classifier.h"
#include "eval/periodic.h"
#include "exchange/c_source.h"
#include "exchange/import_pytorch.h"
#include "exchange/onnx.h"
#include "exchange/pytorch.h"
#include "io/safetensors.h"
#include "program.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

namespace fs = std::filesystem;
using data::ConditionColumn;
using Json = nlohmann::ordered_json;

constexpr std::int64_t kSamples = 3;

/// A network, what it is given and what it says.
struct Case {
  struct Output {
    graph::Shape shape;
    std::vector<float> values;
  };
  std::string name;
  std::shared_ptr<const void> network;  // what the part refers to
  exchange::Part part;
  std::vector<float> input = {};
  data::ConditionRows y = {};
  std::vector<Output> outputs = {};
  bool small = true;  // compiles quickly with its weights inside
};

/// The label, a number with a period, one with a logarithm, and another category with names.
data::ConditionSpec mixed_condition() {
  data::ConditionSpec condition = data::label_condition(10);
  condition.columns.push_back(
      {.name = "angle", .number = {.name = "angle", .maximum = 360, .period = 360, .fourier = 2}});
  condition.columns.push_back({.name = "price",
                               .number = {.name = "price",
                                          .minimum = 0.5,
                                          .maximum = 900,
                                          .scaling = {.kind = "log", .offset = 3, .scale = 2},
                                          .fourier = 1}});
  condition.columns.push_back({.name = "colour, or so", .categories = 2, .names = {"red", "*/ blue"}});
  condition.columns.push_back({.name = "value.1", .categories = 3});  // as the exported files call values of theirs
  return condition;
}

/// Three rows of a condition.
data::ConditionRows rows_of(const data::ConditionSpec& condition) {
  data::ConditionRows rows;
  for (const ConditionColumn& column : condition.columns) {
    if (!column.is_numeric()) {
      rows.columns.emplace_back(std::vector<std::int32_t>{0, column.categories - 1, column.categories / 2});
      continue;
    }
    const auto low = static_cast<float>(column.number.minimum), high = static_cast<float>(column.number.maximum);
    rows.columns.emplace_back(std::vector<float>{low, high, low + 0.3f * (high - low)});
  }
  return rows;
}

graph::Shape batch_shape(graph::Shape shape) {
  shape.insert(shape.begin(), kSamples);
  return shape;
}

std::vector<float> draw(const train::Model& model, std::vector<float>& z, const data::ConditionRows& y) {
  train::Sampler sampler(model, "f32");
  z.resize(static_cast<std::size_t>(kSamples * model.config.model.latent));
  sampler.latents(/*seed=*/4, 0, z);
  std::vector<float> samples(static_cast<std::size_t>(kSamples * graph::element_count(model.sample_shape)));
  sampler.sample(z, y, samples);
  model.units.undo(samples, model.sample_shape);
  return samples;
}

Case generator_case(const std::string& name, train::Model model) {
  const auto shared = std::make_shared<const train::Model>(std::move(model));
  Case made{.name = name, .network = shared, .part = exchange::generator_part(*shared)};
  made.y = rows_of(shared->condition);
  made.outputs = {{batch_shape(shared->sample_shape), draw(*shared, made.input, made.y)}};
  return made;
}

/// What the discriminator says of x in the training range: logits [rows / pack], then its predictions.
std::vector<Case::Output> judge(const train::Model& model, std::span<const float> x, const data::ConditionRows& y,
                                std::int64_t rows) {
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  graph::Graph graph;
  graph::Shape shape = batch_shape(model.sample_shape);
  shape[0] = rows;
  const graph::Tensor samples = graph.input("x", {graph::DType::f32, shape});
  models::Condition condition;
  for (const ConditionColumn& column : model.condition.columns)
    condition.columns.push_back(
        graph.input(train::column_input("y", column), column.is_numeric()
                                                          ? graph::TensorType{graph::DType::f32, {rows, column.width()}}
                                                          : graph::TensorType{graph::DType::i32, {rows}}));
  const train::JudgedSamples judged = train::build_discriminator(graph, model.config, spec, samples, condition);
  graph.output("logits", judged.verdicts.logits);
  std::vector<graph::Shape> shapes;  // compiling changes the graph
  for (const graph::Tensor& prediction : judged.verdicts.predictions) {
    graph.output("prediction." + std::to_string(shapes.size()), prediction);
    shapes.push_back(prediction.shape());
  }
  runtime::State state;
  runtime::Arena arena;
  for (const nn::Variable& variable : judged.variables) state[variable.name] = model.weights.at(variable.name).share();
  const runtime::Program program =
      compiler::compile(graph, {.precision = compiler::Precision::f32, .disabled = {}}, state, arena);
  std::ranges::copy(x, state.at("x").f32().begin());
  std::vector<runtime::Array> inputs = train::condition_inputs(state, "y", model.condition);
  train::write_condition(inputs, model.condition, y);
  program.run();
  const auto values = [&](const std::string& name) {
    const std::span<const float> all = state.at(name).f32();
    return std::vector<float>(all.begin(), all.end());
  };
  std::vector<Case::Output> outputs{{{rows / spec.pack}, values("logits")}};
  for (std::size_t c = 0; c < shapes.size(); ++c)
    outputs.push_back({shapes[c], values("prediction." + std::to_string(c))});
  return outputs;
}

/// Decodes the features of a number, [rows, width]: to the number, or to the first sine and cosine.
Case::Output decoded(const data::NumberColumn& number, const Case::Output& features) {
  const auto width = static_cast<std::size_t>(number.features());
  Case::Output result{number.period > 0 ? graph::Shape{features.shape[0], 2} : graph::Shape{features.shape[0]}, {}};
  for (std::size_t at = 0; at < features.values.size(); at += width) {
    if (number.period > 0)
      result.values.insert(result.values.end(), features.values.begin() + at, features.values.begin() + at + 2);
    else
      result.values.push_back(static_cast<float>(number.scaling.undo(static_cast<double>(features.values[at]))));
  }
  return result;
}

/// The discriminator with random weights on random samples.
Case discriminator_case(const std::string& name, train::Model model) {
  add_discriminator(model, 2);
  const auto shared = std::make_shared<const train::Model>(std::move(model));
  Case made{.name = "discriminator-" + name, .network = shared, .part = exchange::discriminator_part(*shared)};
  const std::int64_t pack = shared->config.model.pack;
  data::ConditionRows y = rows_of(shared->condition);
  for (std::int64_t k = 1; k < pack; ++k) y.append(rows_of(shared->condition));
  made.input.resize(static_cast<std::size_t>(kSamples * pack * graph::element_count(shared->sample_shape)));
  const base::RandomStream random(1, 2, 3);
  for (std::size_t i = 0; i < made.input.size(); ++i) made.input[i] = 2 * random.uniforms(i)[0] - 1;
  made.outputs = judge(*shared, made.input, y, kSamples * pack);
  for (std::size_t c = 0; c + 1 < made.outputs.size(); ++c)
    if (const ConditionColumn& column = shared->condition.columns[c]; column.is_numeric())
      made.outputs[c + 1] = decoded(column.number, made.outputs[c + 1]);
  if (!made.part.condition.empty()) made.y = y;
  if (shared->sample_shape.size() == 1 || !shared->units.bytes()) shared->units.undo(made.input, shared->sample_shape);
  return made;
}

/// The head's part of a classifier's outputs, [kSamples, width] from column `begin` on.
Case::Output head_of(const eval::Classifier& classifier, std::span<const float> features, std::int64_t begin,
                     std::int64_t width) {
  const std::span<const float> weight = classifier.weights.at("classifier.head.weight").f32(),
                               bias = classifier.weights.at("classifier.head.bias").f32();
  Case::Output head{{kSamples, width}, {}};
  for (std::size_t row = 0; row < kSamples; ++row)
    for (auto k = static_cast<std::size_t>(begin); k < static_cast<std::size_t>(begin + width); ++k) {
      double sum = static_cast<double>(bias[k]);
      for (std::size_t i = 0; i < eval::kFeatures; ++i)
        sum += static_cast<double>(features[row * eval::kFeatures + i]) *
               static_cast<double>(weight[k * eval::kFeatures + i]);
      head.values.push_back(static_cast<float>(sum));
    }
  return head;
}

/// Three images of random bytes.
data::Dataset random_images(const graph::Shape& shape) {
  data::Dataset images;
  images.sample_shape = shape;
  images.items = kSamples;
  const auto size = static_cast<std::size_t>(kSamples * graph::element_count(shape));
  const auto pixels = std::make_shared<std::uint8_t[]>(size);
  const base::RandomStream random(1, 2, 3);
  for (std::size_t i = 0; i < size; ++i) pixels[i] = static_cast<std::uint8_t>(random.below(256, i));
  images.pixels = pixels;
  return images;
}

/// A classifier or a regressor with random weights and statistics, as `gan eval` uses it.
Case classifier_case(const std::string& name, const graph::Shape& shape, int classes,
                     const std::vector<data::NumberColumn>& numbers) {
  eval::Classifier made_up;
  made_up.sample_shape = shape;
  made_up.classes = classes;
  made_up.numbers = numbers;
  graph::Graph graph;
  const graph::Tensor x = graph.input("x", {graph::DType::f32, {1, shape[1], shape[2], shape[0]}});
  nn::initialize(eval::build_classifier(graph, made_up, x).variables, /*seed=*/1, made_up.weights);
  for (const auto& [variable, array] : made_up.weights)
    for (std::size_t i = 0; array.type().shape.size() == 1 && i < array.f32().size(); ++i)
      array.f32()[i] += 0.2f * std::sin(static_cast<float>(i));
  const auto shared = std::make_shared<const eval::Classifier>(std::move(made_up));
  Case made{.name = name, .network = shared, .part = exchange::classifier_part(*shared)};
  const data::Dataset images = random_images(shape);
  const std::int64_t area = shape[1] * shape[2];
  for (std::int64_t i = 0; i < kSamples * graph::element_count(shape); ++i) {
    const std::int64_t image = i / (shape[0] * area), channel = i / area % shape[0], pixel = i % area;
    made.input.push_back(static_cast<float>(images.pixels[(image * area + pixel) * shape[0] + channel]) / 127.5f - 1);
  }
  const eval::Embedded embedded = eval::Embedder(*shared).embed(images);
  if (classes > 0) made.outputs.push_back(head_of(*shared, embedded.features, 0, classes));
  for (std::size_t row = 0; classes > 0 && row < kSamples; ++row) {
    const auto logits = made.outputs[0].values.begin() + static_cast<std::ptrdiff_t>(row) * classes;
    EXPECT_EQ(std::max_element(logits, logits + classes) - logits, embedded.classes[row]) << name;
  }
  std::int64_t begin = 0;
  for (std::size_t c = 0; c < numbers.size(); ++c) {
    const std::int64_t width = numbers[c].features();
    const Case::Output predicted = decoded(numbers[c], head_of(*shared, embedded.features, begin, width));
    for (std::size_t row = 0; row < kSamples; ++row) {
      const auto value = [&](std::size_t i) { return static_cast<double>(predicted.values[i]); };
      const double number =
          numbers[c].period > 0 ? eval::value_of_direction(numbers[c], value(2 * row), value(2 * row + 1)) : value(row);
      EXPECT_NEAR(embedded.numbers[row * numbers.size() + c], number, 1e-4 * std::abs(number)) << name;
    }
    made.outputs.push_back(predicted);
    begin += width;
  }
  made.outputs.push_back({{kSamples, eval::kFeatures}, embedded.features});
  return made;
}

constexpr float kAsTrained = 2;

/// A model with small networks for images with units of their own.
train::Model small_model(const char* preset, const std::function<void(train::Config&)>& change,
                         const data::ConditionSpec& condition = mixed_condition()) {
  train::Model model = untrained_model(preset, kAsTrained, condition, [&](train::Config& config) {
    config.model.g.widths = {24, 16};
    config.model.d.widths = {8, 16, 24};
    change(config);
  });
  model.units = {.low = -1000, .high = 3000};
  return model;
}

/// Vectors whose columns are scaled in these ways.
train::Model table_model(const std::vector<const char*>& kinds) {
  train::Model model = untrained_model("vector", 1, mixed_condition(), {}, {2});
  for (const char* kind : kinds)
    model.units.columns.push_back({.name = kind, .scaling = {.kind = kind, .offset = 1.5, .scale = 0.25}});
  return model;
}

const std::map<std::string, std::vector<const char*>> kTables = {
    {"standard", {"standard", "none"}}, {"mixed", {"log", "minmax"}}, {"logs", {"log", "log"}}};

/// Every preset for images, every way in of a condition, other units of images, and vectors.
std::vector<Case> cases() {
  std::vector<Case> all;
  for (const train::EmbeddedPreset& preset : train::embedded_presets())
    if (preset.name != "vector") {
      const std::string name(preset.name);
      all.push_back(generator_case(name, untrained_model(name.c_str(), kAsTrained)));
      all.push_back(discriminator_case(name, untrained_model(name.c_str(), kAsTrained)));
      all.rbegin()[0].small = all.rbegin()[1].small = false;
    }
  for (const char* preset : {"lsgan-r1r2", "conv"}) {
    const std::string of = std::string(preset) + "-";
    for (const char* way : {"embedding", "one_hot", "batch_norm"})
      all.push_back(generator_case(of + way, small_model(preset, [&](auto& c) { c.model.g.condition = way; })));
    for (const char* way : {"embedding", "one_hot", "projection", "auxiliary"})
      all.push_back(discriminator_case(of + way, small_model(preset, [&](auto& c) { c.model.d.condition = way; })));
    all.push_back(discriminator_case(of + "packs", small_model(preset, [](auto& c) { c.model.pack = 2; })));
  }
  all.push_back(generator_case("unconditional", small_model("lsgan-r1r2", [](auto&) {}, {})));
  all.push_back(discriminator_case("unconditional", small_model("lsgan-r1r2", [](auto&) {}, {})));
  for (const auto& [name, kinds] : kTables) {
    all.push_back(generator_case("vector-" + name, table_model(kinds)));
    all.push_back(discriminator_case("vector-" + name, table_model(kinds)));
  }
  all.push_back(classifier_case("classifier", {1, 28, 28}, 10, {}));
  all.push_back(classifier_case("classifier-colours", {3, 20, 12}, 3, {}));
  data::ConditionSpec condition = mixed_condition();
  data::NumberColumn angle = condition.columns[1].number, price = condition.columns[2].number;
  angle.fourier = price.fourier = 0;
  price.minimum = 1e-9, price.maximum = 1e9;
  all.push_back(classifier_case("regressor", {1, 12, 12}, 0, {angle, price}));
  for (Case& one : all)
    if (one.part.name == "classifier") one.small = false;
  return all;
}

Json tensor_json(const char* type, const graph::Shape& shape, const auto& values) {
  return {{"type", type}, {"dims", shape}, {"data", values}};
}

/// The inputs and the outputs of a case, for programs that check its exported form.
Json json_of(const Case& one) {
  Json inputs, outputs;
  inputs[one.part.input.name] = tensor_json("float32", batch_shape(one.part.input_shape), one.input);
  const graph::Shape rows = one.part.pack > 1 ? graph::Shape{kSamples, one.part.pack} : graph::Shape{kSamples};
  for (std::size_t c = 0; c < one.part.condition.columns.size(); ++c) {
    const ConditionColumn& column = one.part.condition.columns[c];
    inputs[column.name] = column.is_numeric() ? tensor_json("float32", rows, one.y.numbers(c))
                                              : tensor_json("int64", rows, one.y.categories(c));
  }
  for (std::size_t i = 0; i < one.outputs.size(); ++i)
    outputs[one.part.outputs.at(i).name] = tensor_json("float32", one.outputs[i].shape, one.outputs[i].values);
  return {{"inputs", inputs}, {"outputs", outputs}};
}

/// The cases as ONNX with a fixed and with any batch, and as PyTorch; in the folder GAN_EXPORTS if that is set.
class ExportedModels : public ::testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new Folder;
    for (const Case& one : cases()) {
      for (const auto& [suffix, batch] : {std::pair{"", 0}, std::pair{"-fixed", 3}}) {
        put(path(one.name + suffix + ".onnx"), exchange::onnx_of(one.part, batch));
        put(path(one.name + suffix + ".json"), json_of(one).dump());
      }
      exchange::write_pytorch(path(one.name), one.part);
    }
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string root() {
    const char* const given = std::getenv("GAN_EXPORTS");
    return given ? std::string(given) : folder_->path();
  }
  static std::string path(const std::string& name) { return root() + "/" + name; }

 private:
  static Folder* folder_;
};
Folder* ExportedModels::folder_ = nullptr;

TEST_F(ExportedModels, OnnxRuntimeSaysTheSame) {
  const Folder folder;
  const Result result =
      shell(folder, "NODE_PATH=" GAN_EXPORTS_DIR "/node_modules node " GAN_EXPORTS_DIR "/check_onnx.js " + root());
  EXPECT_EQ(result.code, 0) << result.out << result.err << "(scripts/deps.sh --test installs what this needs)";
  EXPECT_EQ(result.err, "");
}

TEST_F(ExportedModels, OnnxCheckerAccepts) {
  const Folder folder;
  const Result result = shell(folder, "/usr/bin/python3 " GAN_EXPORTS_DIR "/check_onnx.py " + root());
  EXPECT_EQ(result.code, 0) << result.out << result.err;
}

TEST_F(ExportedModels, PyTorchSaysTheSame) {
  const Folder folder;
  if (shell(folder, "/usr/bin/python3 -c 'import torch'").code != 0) GTEST_SKIP() << "python3-torch is not installed";
  const Result result = shell(folder, "/usr/bin/python3 " GAN_EXPORTS_DIR "/check_pytorch.py " + root());
  EXPECT_EQ(result.code, 0) << result.out << result.err;
}

/// Expects a function of C to say of sample i what the case says.
void expect_outputs(const Case& one, std::size_t i,
                    void (*function)(const float* input, const float* condition, float* out)) {
  std::vector<float> condition;
  for (std::size_t c = 0; c < one.y.columns.size(); ++c)
    condition.push_back(one.part.condition.columns[c].is_numeric() ? one.y.numbers(c)[i]
                                                                   : static_cast<float>(one.y.categories(c)[i]));
  std::size_t elements = 0;
  for (const Case::Output& output : one.outputs) elements += output.values.size() / kSamples;
  std::vector<float> out(elements);
  function(one.input.data() + i * (one.input.size() / kSamples), condition.data(), out.data());
  const float* found = out.data();
  for (const Case::Output& output : one.outputs) {
    float scale = 0;
    for (const float value : output.values) scale = std::max(scale, std::abs(value));
    const std::size_t size = output.values.size() / kSamples;
    for (std::size_t k = 0; k < size; ++k)
      ASSERT_NEAR(*found++, output.values[i * size + k], 1e-5 * scale) << i << " " << k;
  }
}

TEST(ExportedModel, CompiledCSaysTheSame) {
  const Folder folder;
  for (const Case& one : cases())
    for (const bool apart : {false, true}) {
      if ((!apart && !one.small) || one.part.pack > 1) continue;
      SCOPED_TRACE(one.name + (apart ? ", weights apart" : ""));
      const exchange::CSource source = exchange::c_source_of(one.part, "draw", apart);
      put(folder / "draw.c", source.code);
      const std::string library = folder / (one.name + (apart ? "-apart.so" : ".so"));
      const Result compiled = shell(folder,
                                    "cc -std=c11 -O1 -Wall -Wextra -Wpedantic -Wconversion -Werror -shared -fPIC "
                                    "draw.c -o '" +
                                        library + "' -lm");
      ASSERT_EQ(compiled.code, 0) << compiled.err;
      void* const handle = ::dlopen(library.c_str(), RTLD_NOW | RTLD_LOCAL);
      ASSERT_NE(handle, nullptr) << ::dlerror();
      using Draw = void (*)(const float* input, const float* condition, float* out);
      const auto draw = reinterpret_cast<Draw>(::dlsym(handle, "draw"));
      if (apart) {
        EXPECT_LT(source.code.size(), 20'000U);
        *static_cast<const float**>(::dlsym(handle, "draw_weights")) =
            reinterpret_cast<const float*>(source.weights.data());
      }
      {
        std::vector<std::jthread> threads;  // it has no state
        for (int t = 0; t < 3; ++t)
          threads.emplace_back([&] {
            for (std::size_t i = 0; i < kSamples; ++i) expect_outputs(one, i, draw);
          });
      }
      ::dlclose(handle);
    }
}

TEST(ExportedModel, ClangCompilesTheCWithoutWarnings) {
  const Folder folder;
  if (shell(folder, "clang --version").code != 0) GTEST_SKIP() << "clang is not installed";
  for (const Case& one : cases()) {
    if (one.part.pack > 1) continue;
    put(folder / "draw.c", exchange::c_source_of(one.part, "draw", /*apart=*/true).code);
    const Result compiled =
        shell(folder, "clang -std=c11 -Wall -Wextra -Wpedantic -Wconversion -Werror -fsyntax-only draw.c");
    EXPECT_EQ(compiled.code, 0) << one.name << compiled.err;
  }
}

TEST(ExportedModel, OnnxNamesTheScoresOfTheRunAtItsStep) {
  const Folder folder;
  expect_done(folder, {"train", "--data", "ring8", "--out", folder / "a", "--steps", "20", "--quiet", "--eval-every",
                       "10", "--set", "train.batch=16"});
  const std::string scores = get(folder / "a/scores.jsonl"), last = scores.substr(scores.find('\n') + 1);
  const std::string expected = "\"score\":" + Json::parse(last).at("score").dump();
  expect_done(folder, {"export", folder / "a", "--to", "onnx", folder / "a.onnx"});
  EXPECT_NE(get(folder / "a.onnx").find(expected), std::string::npos) << expected;
  expect_done(folder, {"train", "--resume", "--out", folder / "a", "--steps", "25", "--quiet"});
  expect_done(folder, {"export", folder / "a", "--to", "onnx", folder / "b.onnx"});
  EXPECT_EQ(get(folder / "b.onnx").find("\"score\""), std::string::npos) << "it was not judged there";
}

TEST(ExportedModel, DiscriminatorSaysWhatTrainingSees) {
  for (const char* way : {"embedding", "projection", "auxiliary"}) {
    const Case one = discriminator_case("", small_model("lsgan-r1r2", [&](train::Config& config) {
                                          config.model.d.condition = way;
                                          config.model.d.spectral_norm = false;  // a step moves its vectors first
                                          config.augment = {};
                                        }));
    const auto& model = *static_cast<const train::Model*>(one.network.get());
    graph::Graph graph;
    const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
    const std::vector<nn::Variable> variables = train::build_step(graph, model.config, spec, {.batch = kSamples});
    runtime::State state;
    runtime::Arena arena;
    for (const auto& [name, array] : model.weights) state[name] = runtime::Array(array.type().shape, array.f32());
    nn::initialize(variables, /*seed=*/1, state);
    const runtime::Program program =
        compiler::compile(graph, {.precision = compiler::Precision::f32, .disabled = {}}, state, arena);
    nn::set_random_key(1, state);
    // In the training range again.
    std::ranges::transform(one.input, state.at("batch.x").f32().begin(),
                           [&](float value) { return (value + 1000) / 2000 - 1; });
    std::vector<runtime::Array> inputs = train::condition_inputs(state, "batch.y", model.condition);
    train::write_condition(inputs, model.condition, rows_of(model.condition));
    program.run();
    const std::span<const float> logits = state.at("logits.real").f32();
    for (std::size_t i = 0; i < kSamples; ++i) EXPECT_NEAR(logits[i], one.outputs[0].values[i], 1e-5) << way;
  }
}

TEST(ExportedModel, EachPartByTheCommand) {
  const Folder folder;
  train::Model model = untrained_model("lsgan-r1r2");
  give_random_weights(model);
  train::save_model(folder / "m.safetensors", model);
  const Case classifier = classifier_case("", {1, 8, 8}, 3, {});
  eval::save_classifier(folder / "c.safetensors", *static_cast<const eval::Classifier*>(classifier.network.get()));
  const auto exported = [&](Args args) {
    args.insert(args.begin(), "export");
    for (const char* word : {"--to", "onnx"}) args.emplace_back(word);
    args.push_back(folder / "x.onnx");
    expect_done(folder, args);
    return base::read_file(folder / "x.onnx");
  };
  EXPECT_EQ(exported({folder / "m.safetensors"}), exchange::onnx_of(exchange::generator_part(model), 0));
  EXPECT_EQ(exported({folder / "m.safetensors", "--part", "discriminator"}),
            exchange::onnx_of(exchange::discriminator_part(model), 0));
  EXPECT_EQ(exported({folder / "c.safetensors"}), exchange::onnx_of(classifier.part, 0));
  expect_done(folder, {"export", folder / "c.safetensors", "--to", "c", folder / "x.c"});
  expect_refused(folder, {"export", folder / "c.safetensors", "--part", "generator", "--to", "c", folder / "x.c"}, 2,
                 "is a classifier");
}

TEST(ExportedModel, NamesOfAModelFileStayInComments) {
  data::ConditionSpec condition = data::label_condition(3);
  condition.columns[0].name = "a */ int b; /* \"\"\"\nimport os\\";
  train::Model model =
      untrained_model("lsgan-r1r2", 1, condition, [](train::Config& config) { config.model.g.widths = {8}; });
  model.config.preset = "*/ \"\"\" {x}";
  const Folder folder;
  const exchange::Part part = exchange::generator_part(model);
  put(folder / "draw.c", exchange::c_source_of(part, "draw", true).code);
  EXPECT_EQ(shell(folder, "cc -std=c11 -Wall -Werror -c draw.c").err, "");
  exchange::write_pytorch(folder / "p", part);
  EXPECT_EQ(shell(folder, "/usr/bin/python3 -m py_compile p/generator.py").err, "");
  EXPECT_EQ(base::read_file(folder / "p/generator.py").find("\nimport os"), std::string::npos);
}

TEST(ExportedModel, NamesOfFunctions) {
  EXPECT_EQ(exchange::c_identifier("a/my-digits.c"), "my_digits");
  EXPECT_EQ(exchange::c_identifier("7.c"), "gan_7");
  EXPECT_EQ(exchange::c_identifier("for.c"), "gan_for");
  EXPECT_EQ(exchange::c_identifier("-"), "gan__");
  for (const char* name : {"exp", "tanhf", "log2", "y1"})  // math.h has them
    EXPECT_EQ(exchange::c_identifier(std::string(name) + ".c"), std::string("gan_") + name);
}

/// The names that PyTorch gives to the tensors of a linear layer with spectral norm.
struct Naming {
  const char *weight, *u, *v;
};

/// The tensors of a network as a state dict, without the scope.
std::map<std::string, runtime::Array> state_dict(const train::Model& model, const Naming& naming,
                                                 const std::string& network = "generator") {
  std::map<std::string, runtime::Array> state;
  for (const auto& [name, array] : model.weights) {
    if (!name.starts_with(network + ".")) continue;
    std::string theirs = name.substr(network.size() + 1);
    const std::pair<std::string_view, const char*> endings[] = {
        {"weight_orig", naming.weight}, {"weight_u", naming.u}, {"weight_v", naming.v}};
    for (const auto& [ending, other] : endings)
      if (theirs.ends_with(ending)) theirs.replace(theirs.size() - ending.size(), ending.size(), other);
    state[theirs] = array.share();
  }
  return state;
}

std::string put_state(const std::string& path, const std::map<std::string, runtime::Array>& state) {
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : state) tensors.push_back({name, &array});
  io::write_safetensors(path, {}, tensors);
  return path;
}

TEST(ImportedModel, DrawsTheSame) {
  const Folder folder;
  const Naming older{"weight_orig", "weight_u", "weight_v"},
      newer{"parametrizations.weight.original", "parametrizations.weight.0._u", "parametrizations.weight.0._v"};
  const train::Model normed = untrained_model("tutorial-lsgan"),
                     plain = untrained_model("tutorial-lsgan", 1, {}, [](train::Config&config) {
                       config.model.g.spectral_norm = false;
                       config.model.g.widths = {40, 24};
                     });
  for (const auto& [model, naming] : {std::pair{&normed, older}, std::pair{&normed, newer}, std::pair{&plain, older}}) {
    const std::string state = put_state(folder / "state.safetensors", state_dict(*model, naming));
    expect_done(folder, {"import", state, "--image-size", "1,28,28", "--out", folder / "m.safetensors"});
    const train::Model found = train::load_model(folder / "m.safetensors");
    EXPECT_EQ(found.condition, model->condition);
    std::vector<float> z;
    EXPECT_EQ(draw(found, z, rows_of(found.condition)), draw(*model, z, rows_of(model->condition)));
  }
}

TEST(ImportedModel, BothNetworksAreThoseOfTheStateDicts) {
  const Folder folder;
  const Naming naming{"weight_orig", "weight_u", "weight_v"};
  for (const data::ConditionSpec& condition : {data::label_condition(10), data::ConditionSpec()}) {
    train::Model model = untrained_model("tutorial-lsgan", 1, condition);
    add_discriminator(model, 1);
    const std::string g = put_state(folder / "g.safetensors", state_dict(model, naming)),
                      d = put_state(folder / "d.safetensors", state_dict(model, naming, "discriminator"));
    expect_done(folder,
                {"import", g, "--discriminator", d, "--image-size", "1,28,28", "--out", folder / "m.safetensors"});
    const train::Model found = train::load_model(folder / "m.safetensors");
    EXPECT_EQ(found.weights.size(), model.weights.size());
    for (const auto& [name, array] : model.weights)
      EXPECT_TRUE(std::ranges::equal(found.weights.at(name).f32(), array.f32())) << name;
    expect_refused(folder, {"import", g, "--discriminator", g, "--image-size", "1,28,28", "--out", "m"}, 3,
                   "expected f32[1, 1024]");
  }
  const train::Model labelled = untrained_model("tutorial-lsgan");
  put_state(folder / "labelled.safetensors", state_dict(labelled, naming));
  expect_refused(folder,
                 {"import", folder / "labelled.safetensors", "--discriminator", folder / "d.safetensors",
                  "--image-size", "1,28,28", "--out", "m"},
                 3, "the first layer has 784 inputs, expected 816 for the pixels and the generator's condition");
}

TEST(ImportedModel, BadInput) {
  const Folder folder;
  const train::Model model = untrained_model("tutorial-lsgan", 1, data::label_condition(10),
                                             [](train::Config& config) { config.model.g.widths = {8}; });
  const auto state = state_dict(model, {"weight_orig", "weight_u", "weight_v"});
  const auto refuse = [&](const std::string& message, auto change) {
    auto changed = state_dict(model, {"weight_orig", "weight_u", "weight_v"});
    change(changed);
    put_state(folder / "s.safetensors", changed);
    expect_error(base::ErrorKind::data, message, [&] {
      exchange::import_pytorch(folder / "s.safetensors", "", {1, 28, 28}, "relu");
    });
  };
  const auto tensor = [](graph::Shape shape) { return runtime::Array({graph::DType::f32, std::move(shape)}); };
  refuse("no tensor \"model.0.weight_u\"", [](auto& s) { s.erase("model.0.weight_u"); });
  refuse("\"model.2.weight_orig\" is f32[784, 9], expected f32[784, 8]", [&](auto& s) {
    s["model.2.weight_orig"] = tensor({784, 9});
  });
  refuse("expected f32[784, 8]", [&](auto& s) { s["model.2.weight_orig"] = tensor({100, 8}); });
  refuse("none is left for the latents", [&](auto& s) { s["embedding.weight"] = tensor({10, 500}); });
  refuse("a tensor \"model.1.running_mean\", which", [&](auto& s) { s["model.1.running_mean"] = tensor({8}); });
  refuse("no tensor \"model.N.bias\"", [](auto& s) { s.erase("model.0.bias"), s.erase("model.2.bias"); });
  refuse("holds nan", [&](auto& s) { (s["model.0.bias"] = tensor({8})).f32()[3] = NAN; });
  const std::string state_path = put_state(folder / "good.safetensors", state);
  expect_refused(folder, {"import", state_path, "--image-size", "28,28", "--out", "m"}, 2,
                 "channels, height and width");
  expect_refused(folder, {"import", state_path, "--image-size", "3,32,32", "--out", "m"}, 3, "expected f32[3072, 8]");
}

TEST(SafetensorsBadInput, ForeignFilesAreCalledByTheirNames) {
  const Folder folder;
  const train::Model model = untrained_model("lsgan-r1r2");
  const std::pair<std::string, const char*> files[] = {
      {"PK\x03\x04 and more", "torch.load('"}, {"\x80\x02}q.X....", "a pickle of Python"},
      {"\x93NUMPY\x01....", "a .npy file"},    {"\x89HDF\r\n\x1a\n", "an HDF5 file"},
      {"GGUF\x03.....", "a GGUF file"},        {exchange::onnx_of(exchange::generator_part(model), 0), "an ONNX file"}};
  for (const auto& [content, name] : files) {
    const std::string path = put(folder / "model", content);
    expect_error(base::ErrorKind::data, name, [&] { io::read_safetensors(path); });
  }
}

TEST(ExportedModel, BadInput) {
  data::ConditionSpec condition = data::label_condition(10);
  const auto model = [&](auto change) { return untrained_model("lsgan-r1r2", 1, condition, change); };
  const train::Model labelled = model([](auto&) {}), packs = model([](auto&c) { c.model.pack = 2; });
  expect_error(base::ErrorKind::usage, "no name of a function",
               [&] { exchange::c_source_of(exchange::generator_part(labelled), "a b", false); });
  expect_error(base::ErrorKind::usage, "judges packs of 2 samples",
               [&] { exchange::c_source_of(exchange::discriminator_part(packs), "a", false); });
  condition.columns[0].name = "z";
  const train::Model z = model([](auto&) {});
  expect_error(base::ErrorKind::usage, "is called z", [&] { exchange::onnx_of(exchange::generator_part(z), 0); });
  condition.columns[0].name = "logits";
  train::Model logits = model([](auto& c) { c.model.d.condition = "auxiliary"; });
  add_discriminator(logits, 1);
  expect_error(base::ErrorKind::usage, "is called logits",
               [&] { exchange::onnx_of(exchange::discriminator_part(logits), 0); });
  condition.columns[0].name = "a.b";
  condition.columns.push_back({.name = "a_b", .categories = 2});
  const train::Model alike = model([](auto&) {});
  const Folder folder;
  expect_error(base::ErrorKind::usage, "differ by . and _ alone",
               [&] { exchange::write_pytorch(folder / "p", exchange::generator_part(alike)); });
}

TEST(ExportedModel, BadInputOfTheCommand) {
  const Folder folder;
  train::Model both = untrained_model("lsgan-r1r2");
  give_random_weights(both);
  train::save_model(folder / "m.safetensors", both);
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "c", "x.c", "--batch", "2"}, 2, "--batch is for");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "onnx", "x", "--batch", "0"}, 2, "--batch 0");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "onnx", "x", "--weights", "w"}, 2,
                 "--weights is");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "tflite", "x"}, 2, "tflite");
  expect_refused(folder, {"export", folder / "m.safetensors", "--part", "judge", "--to", "c", "x"}, 2, "judge");
  expect_refused(folder, {"export", folder / "none", "--to", "onnx", "x"}, 3, "none");
  expect_refused(folder, {"export", folder / "m.safetensors", "--to", "c", folder / "no/x.c"}, 3, "no/x.c");
}

}  // namespace
}  // namespace gan::test
