#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <fstream>
#include <nlohmann/json.hpp>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "data/source.h"
#include "file_helpers.h"
#include "io/safetensors.h"
#include "losses/loss.h"
#include "nn/layers.h"
#include "ops/ops.h"
#include "runtime/reference/reference.h"
#include "train/model_file.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "train/trainer.h"

// Losses against their closed forms, and the trainer as a program sees it.
namespace gan::test {
namespace {

using namespace ops;

/// A loss of logits and its gradient by them, in float64.
struct LossResult {
  double value;
  std::vector<double> by_real, by_fake;
};

LossResult evaluate(const char* name, const losses::LossSpec& spec, bool of_g, const std::vector<double>& real,
                    const std::vector<double>& fake) {
  Graph g;
  const auto rows = static_cast<std::int64_t>(real.size());
  const Tensor r = g.input("real", {DType::f32, {rows, 1}}), f = g.input("fake", {DType::f32, {rows, 1}});
  const losses::Loss& loss = losses::find_loss(name);
  const Tensor value = (of_g ? loss.generator : loss.discriminator)(spec, r, f);
  const std::vector<Tensor> gradients = autodiff::gradient(value, {r, f});
  g.output("value", value);
  g.output("r", gradients[0]);
  g.output("f", gradients[1]);
  const auto result = runtime::evaluate_reference(g, {{"real", real}, {"fake", fake}});
  return {result.at("value")[0], result.at("r"), result.at("f")};
}

TEST(CrossEntropy, EqualsSigmoidThenLogarithmWhereThatDoesNotSaturate) {
  const std::vector<double> real{-14.5, -3, 0, 0.5, 14.5}, fake{14.5, -2, 0, 1, -14.5};
  double d = 0, g = 0, saturating = 0;
  const auto sigmoid = [](double x) { return 1 / (1 + std::exp(-x)); };
  for (std::size_t i = 0; i < real.size(); ++i) {
    d += (-std::log(sigmoid(real[i])) - std::log(1 - sigmoid(fake[i]))) / 5;
    g += -std::log(sigmoid(fake[i])) / 5;
    saturating += std::log(1 - sigmoid(fake[i])) / 5;
  }
  EXPECT_NEAR(evaluate("bce", {}, false, real, fake).value, d, 1e-9);
  EXPECT_NEAR(evaluate("bce", {}, true, real, fake).value, g, 1e-9);
  losses::LossSpec spec;
  spec.saturating = true;
  EXPECT_NEAR(evaluate("bce", spec, true, real, fake).value, saturating, 1e-9);
}

TEST(CrossEntropy, StaysFiniteFarOut) {
  const LossResult far = evaluate("bce", {}, false, {-1e4}, {1e4});
  EXPECT_DOUBLE_EQ(far.value, 2e4);
  EXPECT_DOUBLE_EQ(far.by_real[0], -1);
  EXPECT_DOUBLE_EQ(far.by_fake[0], 1);
}

TEST(LeastSquares, HasThePapersHalvesAndTargets) {
  const losses::LossSpec pearson{.a = -1, .b = 1, .c = 0};
  const LossResult d = evaluate("least_squares", pearson, false, {3}, {2});
  EXPECT_DOUBLE_EQ(d.value, 0.5 * 4 + 0.5 * 9);
  EXPECT_DOUBLE_EQ(d.by_real[0], 2);
  EXPECT_DOUBLE_EQ(d.by_fake[0], 3);
  EXPECT_DOUBLE_EQ(evaluate("least_squares", pearson, true, {3}, {2}).value, 0.5 * 4);
  losses::LossSpec squashed{.sigmoid = true};
  EXPECT_NEAR(evaluate("least_squares", squashed, true, {0}, {0}).value, 0.125, 1e-12);
}

TEST(GradientPenalty, OfALinearDiscriminatorIsTheSquaredNormOfItsWeights) {
  Graph g;
  const Tensor x = g.input("x", {DType::f32, {4, 3}}), w = g.input("w", {DType::f32, {3, 1}});
  g.output("penalty", mean(losses::squared_gradients(matmul(x, w), x)));
  g.output("gradient", autodiff::gradient(mean(losses::squared_gradients(matmul(x, w), x)), {w})[0]);
  const auto result = runtime::evaluate_reference(g, {{"x", std::vector<double>(12, 0.3)}, {"w", {1, -2, 3}}});
  EXPECT_NEAR(result.at("penalty")[0], 14, 1e-12);
  EXPECT_NEAR(result.at("gradient")[1], -4, 1e-12);
}

TEST(SpectralNorm, ConvergesToTheLargestSingularValue) {
  Graph g;
  nn::Variables variables(g, true);
  const Tensor w = variables.declare("layer.weight_orig", {2, 2}, nn::Init::constant(0), nn::Role::parameter);
  g.output("inverse", nn::inverse_sigma(nn::Scope(variables, "layer"), w));
  variables.finish();
  runtime::State state;
  nn::initialize(variables.all(), 1, state);
  const float values[] = {3, 0, 4, 5};  // singular values 3 sqrt(5) and sqrt(5)
  std::copy_n(values, 4, state.at("layer.weight_orig").f32().data());
  runtime::Arena arena;
  const runtime::Program program = compiler::compile(g, {}, state, arena);
  for (int i = 0; i < 50; ++i) program.run();
  EXPECT_NEAR(1 / state.at("inverse").f32()[0], 3 * std::sqrt(5.0), 1e-5);
}

TEST(BatchNorm, TreatsEveryPixelAsARow) {
  // Pictures [N, H, W, C] are normalized as [N * H * W, C] is, which the golden files check against PyTorch.
  std::vector<double> values(2 * 3 * 3 * 4);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = std::sin(static_cast<double>(i * i));
  std::vector<std::vector<double>> results;
  for (const graph::Shape& shape : {graph::Shape{2, 3, 3, 4}, graph::Shape{18, 4}}) {
    Graph g;
    nn::Variables variables(g, true);
    const Tensor x = g.input("x", {DType::f32, shape});
    g.output("y", nn::batch_norm(nn::Scope(variables, "norm"), x));
    variables.finish();
    const auto result = runtime::evaluate_reference(g, {{"x", values},
                                                        {"norm.weight", {1, 2, 3, 4}},
                                                        {"norm.bias", {0, 1, 0, 1}},
                                                        {"norm.running_mean", {0, 0, 0, 0}},
                                                        {"norm.running_var", {1, 1, 1, 1}}});
    results.push_back(result.at("y"));
    results.push_back(result.at("norm.running_var"));
  }
  EXPECT_EQ(results[0], results[2]);
  EXPECT_EQ(results[1], results[3]);
  EXPECT_NE(results[0][0], values[0]);
}

// ---- the trainer ----

train::Config small_config(std::int64_t steps) {
  train::Config config = train::load_preset("vector");
  const std::vector<std::string> settings{"train.steps=" + std::to_string(steps),
                                          "train.batch=64",
                                          "train.log_every=10",
                                          "train.checkpoint_every=15",
                                          "model.g.widths=[32,32]",
                                          "model.d.widths=[32,32]",
                                          "model.g.batch_norm=true"};
  train::apply_settings(config, settings);
  config.data.source = "ring8";
  return config;
}

std::string train_bytes(const train::Config& config, const std::string& folder, bool resume = false,
                        const std::string& init = "", std::int64_t stop_at = -1) {
  const data::Dataset dataset = data::open_source("ring8");
  std::int64_t asked = 0;
  train::Callbacks callbacks;
  callbacks.stop_requested = [&] { return stop_at >= 0 && asked++ >= stop_at; };
  train::train_run(config, dataset, {folder, resume, init}, callbacks);
  return base::read_file(folder + "/model.safetensors");
}

TEST(Trainer, EqualRunsGiveEqualBytesAndOtherSeedsDoNot) {
  const TemporaryFolder folder;
  train::Config config = small_config(40);
  const std::string bytes = train_bytes(config, folder / "a");
  EXPECT_EQ(bytes, train_bytes(config, folder / "b"));
  config.train.seed = 2;
  EXPECT_NE(bytes, train_bytes(config, folder / "c"));
}

TEST(Trainer, LoggingAndSavingDoNotChangeTheResult) {
  for (const char* optimizer : {"adam", "sgd"}) {
    const TemporaryFolder folder;
    train::Config config = small_config(40);
    config.optim.name = optimizer;
    const std::string bytes = train_bytes(config, folder / "a");
    config.train.log_every = 1;
    config.train.checkpoint_every = 3;
    config.train.sample_every = 7;
    EXPECT_EQ(bytes, train_bytes(config, folder / "b"));
  }
}

TEST(Trainer, AnEvaluationKnowsWhereTheFolderIsWhenItIsDone) {
  const TemporaryFolder folder;
  train::Config config = small_config(30);
  config.train.eval_every = 10;
  const data::Dataset dataset = data::open_source("ring8");
  std::vector<std::string> places;
  train::Callbacks callbacks;
  callbacks.on_evaluate = [&](const train::Model&, double, const auto& directory) {
    std::filesystem::rename(directory(), folder / ("moved-" + std::to_string(places.size())));
    places.push_back(directory().filename().string());
  };
  train::train_run(config, dataset, {folder / "run", false, ""}, callbacks);
  EXPECT_EQ(places, (std::vector<std::string>{"moved-0", "moved-1", "moved-2"}));
  EXPECT_EQ(train::load_model(folder / "moved-2").steps, 30);
}

TEST(Trainer, AFolderThatIsEmptiedCanBeResumed) {
  const TemporaryFolder folder;
  train::Config config = small_config(30);
  const data::Dataset dataset = data::open_source("ring8");
  train::Callbacks callbacks;
  callbacks.on_log = [&](const train::Progress& progress) {
    if (progress.step != 10) return;
    for (const auto& entry : std::filesystem::directory_iterator(folder / "run")) std::filesystem::remove_all(entry);
  };
  train::train_run(config, dataset, {folder / "run", false, ""}, callbacks);
  EXPECT_EQ(train::read_run_config(folder / "run/config.toml").train.steps, 30);
  train_bytes(small_config(40), folder / "run", true);
  EXPECT_EQ(train::load_model(folder / "run").steps, 40);
}

TEST(Trainer, StoppedAndResumedIsAsIfNeverStopped) {
  const TemporaryFolder folder;
  const std::string bytes = train_bytes(small_config(40), folder / "a");
  const std::string stopped = train_bytes(small_config(40), folder / "b", false, "", 23);
  EXPECT_NE(bytes, stopped);
  EXPECT_EQ(bytes, train_bytes(small_config(40), folder / "b", true));
  // Every logged step is there once.
  std::ifstream metrics(folder / "b/metrics.jsonl");
  int lines = 0;
  for (std::string line; std::getline(metrics, line);)
    EXPECT_NE(line.find(fmt::format("\"step\":{}0,", ++lines)), std::string::npos);
  EXPECT_EQ(lines, 4);
}

/// "step", "loss_g" and "grad_norm_g" of every line of metrics.jsonl: what does not depend on the clock.
std::vector<std::array<double, 3>> logged(const std::string& folder) {
  std::vector<std::array<double, 3>> lines;
  std::ifstream metrics(folder + "/metrics.jsonl");
  for (std::string line; std::getline(metrics, line);) {
    const auto json = nlohmann::json::parse(line);
    lines.push_back({json["step"], json["loss_g"], json["grad_norm_g"]});
  }
  return lines;
}

TEST(Trainer, ResumesAmidRestingStepsSchedulesAndRandomLayers) {
  const TemporaryFolder folder;
  train::Config config = small_config(30);
  const std::vector<std::string> settings{
      "train.log_every=5",      "train.d_steps=2",         "train.ema_warmup=true",  "penalty.every=3",
      "penalty.wgan_gp=0.5",    "model.g.dropout=0.2",     "model.d.dropout=0.2",    "augment.noise=0.1",
      "augment.noise_steps=25", "optim.schedule=linear",   "optim.schedule_start=3", "optim.schedule_steps=20",
      "optim.warmup=4",         "model.g.widths=[16, 16]", "model.d.widths=[16, 16]"};
  train::apply_settings(config, settings);
  const std::string bytes = train_bytes(config, folder / "a");
  // Behind step 17 the next is one that trains G, without penalties; behind 18 one with penalties and G at rest.
  for (const std::int64_t stop : {17, 18}) {
    const std::string other = folder / std::to_string(stop);
    EXPECT_NE(bytes, train_bytes(config, other, false, "", stop));
    EXPECT_EQ(bytes, train_bytes(config, other, true)) << stop;
    const auto expected = io::read_safetensors(folder / "a/checkpoint.safetensors").tensors;
    for (const auto& [name, array] : io::read_safetensors(other + "/checkpoint.safetensors").tensors)
      EXPECT_TRUE(std::ranges::equal(array.f32(), expected.at(name).f32())) << name << " " << stop;
    EXPECT_EQ(logged(folder / "a"), logged(other)) << stop;
  }
  ASSERT_EQ(logged(folder / "a").size(), 6u);
  for (const auto& [step, loss_g, norm_g] : logged(folder / "a")) EXPECT_GT(norm_g, 0) << step;
}

TEST(Trainer, RatesThatFollowTheBudgetResume) {
  const TemporaryFolder folder;
  train::Config config = small_config(20);
  train::apply_settings(config, std::vector<std::string>{"optim.schedule=budget", "optim.schedule_share=0.8"});
  const std::string bytes = train_bytes(config, folder / "a");
  EXPECT_NE(bytes, train_bytes(config, folder / "b", false, "", 11));
  EXPECT_EQ(bytes, train_bytes(config, folder / "b", true));
  config.optim.schedule = "constant";
  EXPECT_NE(bytes, train_bytes(config, folder / "c"));
}

TEST(Trainer, StartsFromAnotherModel) {
  const TemporaryFolder folder;
  train::Config config = small_config(20);
  train_bytes(config, folder / "a");
  config.optim.g.lr = config.optim.d.lr = 1e-12;
  config.train.ema = 0;
  config.train.steps = 1;
  train_bytes(config, folder / "b", false, folder / "a");
  const train::Model from = train::load_model(folder / "a"), to = train::load_model(folder / "b");
  const auto before = from.weights.at("generator.model.0.weight").f32(),
             after = to.weights.at("generator.model.0.weight").f32();
  for (std::size_t i = 0; i < before.size(); ++i) EXPECT_NEAR(before[i], after[i], 1e-6);
  config.model.g.widths = {16};
  EXPECT_THROW(train_bytes(config, folder / "c", false, folder / "a"), base::Error);
}

TEST(TrainerBadInput, DivergenceIsAnErrorAndKeepsTheLastCheckpoint) {
  const TemporaryFolder folder;
  train::Config config = small_config(300);
  config.optim.name = "sgd";
  config.optim.g.lr = config.optim.d.lr = 1000;
  config.train.checkpoint_every = 1;
  try {
    train_bytes(config, folder / "a");
    FAIL() << "did not diverge";
  } catch (const base::Error& error) {
    EXPECT_EQ(error.kind(), base::ErrorKind::run);
    EXPECT_NE(std::string(error.what()).find("diverged at step"), std::string::npos) << error.what();
  }
  // What was saved on the way is sound, and so is the model that can be drawn from it.
  if (std::filesystem::exists(folder / "a/model.safetensors")) train::load_model(folder / "a");
  config.train.steps = 1;
  config.optim.g.lr = config.optim.d.lr = 1e-3;
  EXPECT_NO_THROW(train_bytes(config, folder / "b"));
}

TEST(TrainerBadInput, BatchLargerThanTheData) {
  const TemporaryFolder folder;
  train::Config config = small_config(3);
  config.train.batch = 1000000;
  EXPECT_THROW(train_bytes(config, folder / "a"), base::Error);
}

TEST(ModelBadInput, MissingOrWrongTensorsAndNaNAreRefused) {
  const TemporaryFolder folder;
  train_bytes(small_config(2), folder / "a");
  const train::Model good = train::load_model(folder / "a");
  const auto expect_refused = [&](const std::string& message, const std::function<void(train::Model&)>& spoil) {
    train::Model model = train::load_model(folder / "a");
    spoil(model);
    try {
      train::save_model(folder / "bad.safetensors", model);
      train::load_model(folder / "bad.safetensors");
      ADD_FAILURE() << message << " was accepted";
    } catch (const base::Error& error) {
      EXPECT_NE(std::string(error.what()).find(message), std::string::npos) << error.what();
    }
  };
  expect_refused("generator.model.0.weight", [](train::Model& m) {
    m.weights.at("generator.model.0.weight").f32()[5] = std::numeric_limits<float>::quiet_NaN();
  });
  expect_refused("has no", [](train::Model& m) { m.weights.erase("generator.model.0.bias"); });
  expect_refused("expected", [](train::Model& m) {
    m.weights["generator.model.0.bias"] = runtime::Array(graph::TensorType{DType::f32, {3}});
  });
  expect_refused("expected f32[", [](train::Model& m) { m.condition = {}; });
  expect_refused("column \"label\": a range of 0 to 0", [](train::Model& m) { m.condition.columns[0].categories = 0; });
  expect_refused("two classes are called \"a\"",
                 [](train::Model& m) { m.condition.columns[0].names = {"a", "b", "c", "d", "e", "f", "g", "a"}; });
  expect_refused("samples in a range of", [](train::Model& m) { m.units.high = 1e308; });
  expect_refused("1 class name for 8 classes", [](train::Model& m) { m.condition.columns[0].names = {"one"}; });
  expect_refused("column \"label\"", [](train::Model& m) { m.condition.columns.push_back(m.condition.columns[0]); });
  expect_refused("trained for -1 steps", [](train::Model& m) { m.steps = -1; });
  expect_refused("samples of shape", [](train::Model& m) { m.sample_shape = {1, 2}; });
}

TEST(TrainerBadInput, StepsOfACheckpointAreWhole) {
  const TemporaryFolder folder;
  train_bytes(small_config(20), folder / "a");
  const std::string path = folder / "a/checkpoint.safetensors";
  io::Safetensors file = io::read_safetensors(path);
  auto position = nlohmann::json::parse(file.metadata.at("position"));
  position["steps"] = 1.5;
  file.metadata["position"] = position.dump();
  std::vector<io::NamedArray> tensors;
  for (const auto& [name, array] : file.tensors) tensors.push_back({name, &array});
  io::write_safetensors(path, file.metadata, tensors);
  const std::string metrics = base::read_file(folder / "a/metrics.jsonl");
  expect_error(base::ErrorKind::data, "\"steps\" is 1.5", [&] { train_bytes(small_config(20), folder / "a", true); });
  EXPECT_EQ(base::read_file(folder / "a/metrics.jsonl"), metrics);
}

TEST(ModelFile, TheGeneratorAloneCanBeRead) {
  const TemporaryFolder folder;
  train_bytes(small_config(2), folder / "a");
  const train::Model whole = train::load_model(folder / "a");
  const train::Model part = train::load_model(folder / "a", train::Networks::generator);
  std::size_t found = 0;
  for (const auto& [name, array] : whole.weights) {
    if (!name.starts_with("generator.")) continue;
    ASSERT_TRUE(part.weights.count(name)) << name;
    EXPECT_TRUE(std::ranges::equal(array.f32(), part.weights.at(name).f32())) << name;
    ++found;
  }
  EXPECT_GT(found, 0u);
  EXPECT_EQ(part.weights.size(), found);
  EXPECT_GT(whole.weights.size(), found);
}

/// A model that was trained for two steps.
train::Model small_model() {
  const TemporaryFolder folder;
  train_bytes(small_config(2), folder / "a");
  return train::load_model(folder / "a");
}

TEST(SamplerTest, LatentsDoNotDependOnHowManyAreAsked) {
  const train::Model model = small_model();
  const train::Sampler sampler(model);
  const auto latent = static_cast<std::size_t>(model.config.model.latent);
  std::vector<float> many(latent * 10), one(latent);
  sampler.latents(3, 0, many);
  sampler.latents(3, 7, one);
  EXPECT_TRUE(std::equal(one.begin(), one.end(), many.begin() + static_cast<std::ptrdiff_t>(7 * latent)));
  const base::RandomStream random(3, base::stream_of("sample"));  // as they have always been
  for (std::size_t i = 0; i < many.size(); ++i) EXPECT_EQ(many[i], random.normal(i));
}

TEST(SamplerTest, TruncatedLatentsAreThoseOfATruncatedNormalDistribution) {
  const train::Model model = small_model();
  const train::Sampler sampler(model);
  const auto latent = static_cast<std::size_t>(model.config.model.latent);
  std::vector<float> whole(latent * 20'000), truncated(whole.size()), one(latent);
  sampler.latents(3, 0, whole);
  for (const auto& [limit, deviation] : {std::pair{0.5, 0.2838}, std::pair{1.0, 0.5396}, std::pair{2.0, 0.8796}}) {
    sampler.latents(3, 0, truncated, limit);
    double squares = 0;
    for (std::size_t i = 0; i < whole.size(); ++i) {
      ASSERT_LE(std::abs(static_cast<double>(truncated[i])), limit);
      if (std::abs(static_cast<double>(whole[i])) <= limit) {
        ASSERT_EQ(truncated[i], whole[i]);
      }
      squares += static_cast<double>(truncated[i] * truncated[i]);
    }
    EXPECT_NEAR(std::sqrt(squares / static_cast<double>(whole.size())), deviation, 0.01);
    sampler.latents(3, 777, one, limit);
    EXPECT_TRUE(std::equal(one.begin(), one.end(), truncated.begin() + static_cast<std::ptrdiff_t>(777 * latent)));
  }
  for (const double wrong : {-1.0, 0.01, static_cast<double>(NAN)})
    expect_error(base::ErrorKind::usage, "expected at least 0.05", [&] { sampler.latents(3, 0, one, wrong); });
}

TEST(SamplerTest, AnyNumberAtOnceGivesTheSameSamples) {
  const TemporaryFolder folder;
  train::Config config = small_config(20);
  config.model.g.spectral_norm = true;
  train_bytes(config, folder / "a");
  const train::Model model = train::load_model(folder / "a");
  const auto latent = static_cast<std::size_t>(model.config.model.latent);
  const std::size_t count = 600, size = 2;  // more than are drawn together
  std::vector<float> z(count * latent), all(count * size), one(size);
  std::vector<std::int32_t> labels(count);
  for (std::size_t i = 0; i < count; ++i) labels[i] = static_cast<std::int32_t>(i % 8);
  train::Sampler exact(model, "f32"), compact(model, "bf16");
  exact.latents(4, 0, z);
  exact.sample(z, labels, all);
  double rounding = 0;
  for (const std::size_t i : {std::size_t{0}, std::size_t{299}, count - 1}) {
    exact.sample(std::span(z).subspan(i * latent, latent), std::vector<std::int32_t>{labels[i]}, one);
    for (std::size_t k = 0; k < size; ++k) EXPECT_NEAR(one[k], all[i * size + k], 1e-5);
    compact.sample(std::span(z).subspan(i * latent, latent), std::vector<std::int32_t>{labels[i]}, one);
    for (std::size_t k = 0; k < size; ++k) {
      EXPECT_NEAR(one[k], all[i * size + k], 1e-3);
      rounding += std::abs(static_cast<double>(one[k]) - static_cast<double>(all[i * size + k]));
    }
  }
  EXPECT_GT(rounding, 0);
}

TEST(SamplerBadInput, SizesAndLabels) {
  const TemporaryFolder folder;
  train_bytes(small_config(2), folder / "a");
  const train::Model model = train::load_model(folder / "a");
  train::Sampler sampler(model);
  std::vector<float> z(static_cast<std::size_t>(model.config.model.latent)), out(2), short_out(1);
  const std::vector<std::int32_t> label{0}, negative{-1}, large{8}, two{0, 1};
  sampler.sample(z, label, out);
  EXPECT_THROW(sampler.sample(z, negative, out), base::Error);
  EXPECT_THROW(sampler.sample(z, large, out), base::Error);
  EXPECT_THROW(sampler.sample(z, two, out), base::Error);
  EXPECT_THROW(sampler.sample(z, {}, out), base::Error);
  EXPECT_THROW(sampler.sample(z, label, short_out), base::Error);
}

}  // namespace
}  // namespace gan::test
