#include <fmt/core.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <memory>
#include <mutex>
#include <random>

#include "base/error.h"
#include "base/parallel.h"
#include "compare.h"
#include "compiler/compile.h"
#include "data/source.h"
#include "eval/pixels.h"
#include "metrics/parzen.h"
#include "ops/ops.h"
#include "thread_ranks.h"
#include "train/preset.h"
#include "train/stepper.h"
#include "walled_backend.h"

// Several ranks, and several parts on one rank, train as one rank does on the whole batch. Ranks are threads here;
// tests/mpi_test.cpp starts processes.
namespace gan::test {
namespace {

using Settings = std::vector<std::string>;
using Values = std::map<std::string, std::vector<float>>;

/// What a training of small networks must give alike.
struct Training {
  const char* name;
  const char* data;
  Settings settings;
};

void PrintTo(const Training& training, std::ostream* out) { *out << training.name; }

const std::vector<Training>& trainings() {
  static const Settings points{"model.g.widths=[16,24]", "model.d.widths=[24,16]", "model.latent=5"};
  static const Settings pictures{"model.g.widths=[24,16]", "model.d.widths=[8,24]", "model.latent=5",
                                 "model.embedding=4"};
  static const auto with = [](Settings settings, const Settings& more) {
    settings.insert(settings.end(), more.begin(), more.end());
    return settings;
  };
  static const auto of_points = [](const char* name, const Settings& more, const char* data = "ring8") {
    return Training{name, data, with(points, more)};
  };
  static const auto of_pictures = [](const char* name, const Settings& more) {
    return Training{name, "shapes:96:16", with(pictures, more)};
  };
  static const std::vector<Training> all{
      of_points("bce", {"loss.name=bce"}),
      of_points("smoothed", {"loss.name=bce", "loss.smoothing=0.1"}),
      of_points("least_squares", {"loss.name=least_squares"}),
      // The gradient of D's last bias is 0 but for rounding, which Adam would scale up to whole steps.
      of_points("hinge", {"loss.name=hinge", "optim.name=sgd", "optim.momentum=0.5", "optim.lr=0.01"}),
      of_points("wgan_gp", {"loss.name=wasserstein", "penalty.wgan_gp=10", "optim.name=sgd", "optim.momentum=0.5"}),
      of_points("lsgan_gp", {"loss.name=least_squares", "penalty.lsgan_gp=10"}),
      of_points("relativistic", {"loss.name=relativistic", "penalty.r1=1", "penalty.r2=1"}),
      of_points("r1", {"loss.name=bce", "penalty.r1=2", "penalty.every=2"}),
      of_points("sgd", {"optim.name=sgd", "optim.momentum=0.5", "optim.lr=0.01"}),
      of_points("no_first_moment", {"optim.beta1=0", "optim.weight_decay=1e-3"}),
      of_points("spectral_norm", {"model.g.spectral_norm=true", "model.g.gain=true", "model.d.spectral_norm=true"}),
      of_points("batch_norm", {"model.g.batch_norm=true"}),
      of_points("conditional_batch_norm", {"model.g.batch_norm=true", "model.g.condition=batch_norm", "penalty.r1=1"}),
      of_points("packs", {"model.pack=2"}),
      of_points("d_steps", {"train.d_steps=3"}),
      of_points("dropout", {"model.d.dropout=0.3", "model.g.dropout=0.2"}),
      of_points("auxiliary", {"model.d.condition=auxiliary"}),
      of_points("projection", {"model.d.condition=projection"}),
      of_points("balance", {"train.balance=classes"}),
      of_points("uniform", {"model.latent_distribution=uniform", "train.ema_warmup=true", "optim.warmup=5"}),
      of_points("vicinal", {"train.vicinal=soft"}, "circle"),
      of_points("unconditional", {"data.unconditional=true"}),
      of_pictures("conv", {"model.kind=conv"}),
      of_pictures("conv_batch_norm", {"model.kind=conv", "model.g.batch_norm=true", "model.d.spectral_norm=true"}),
      of_pictures("augmentation", {"model.kind=mlp", "augment.translation=0.125", "augment.cutout=0.5",
                                   "augment.brightness=1", "augment.noise=0.1", "augment.noise_steps=20"}),
      of_pictures("residual", {"model.kind=residual", "model.g.widths=[16,8]", "model.d.widths=[8,16]"}),
  };
  return all;
}

train::Config config_of(const Training& training) {
  train::Config config = train::load_preset("vector");
  Settings settings{"loss.name=bce",       "loss.sigmoid=false", "train.batch=48",
                    "train.precision=f32", "train.steps=10",     "optim.beta1=0.5"};
  for (const auto& [name, weight] : config.penalty.weights) settings.push_back("penalty." + name + "=0");
  settings.insert(settings.end(), training.settings.begin(), training.settings.end());
  train::apply_settings(config, settings);
  train::validate(config);
  return config;
}

/// The variables and figures of a stepper.
Values values_of(const train::Stepper& stepper) {
  Values values;
  const auto take = [&](const std::string& name) {
    const runtime::Array array = stepper.state().at(name).on_host();
    values[name].assign(array.f32().begin(), array.f32().end());
  };
  for (const nn::Variable& variable : stepper.variables()) take(variable.name);
  for (const char* name :
       {"loss.g", "loss.d", "norm.g", "norm.d", "verdict.real", "verdict.fake", "lost.g", "lost.d", "sound_steps"})
    take(name);
  return values;
}

Values train_parts(const train::Config& given, const data::Dataset& dataset, std::int64_t parts, std::int64_t steps) {
  train::Config config = given;
  config.train.parts = parts;
  train::Stepper stepper(config, dataset, nullptr);
  for (std::int64_t step = 0; step < steps; ++step) stepper.run(step, /*norms=*/step == steps - 1);
  Values values = values_of(stepper);
  const runtime::Array fake = stepper.state().at("fake").on_host();
  values["fake"].assign(fake.f32().begin(), fake.f32().end());
  return values;
}

void expect_same_bits(const Values& a, const Values& b) {
  ASSERT_EQ(a.size(), b.size());
  for (const auto& [name, values] : a) {
    ASSERT_EQ(values.size(), b.at(name).size()) << name;
    EXPECT_EQ(std::memcmp(values.data(), b.at(name).data(), values.size() * sizeof(float)), 0) << name;
  }
}

/// Trainings run on one thread, as the ranks do that share this machine.
class Ranks : public testing::TestWithParam<Training> {
 protected:
  void SetUp() override { base::set_threads(1); }
  void TearDown() override { base::set_threads(0); }
};

TEST_P(Ranks, EqualPartsToTheBit) {
  const train::Config config = config_of(GetParam());
  const data::Dataset dataset = data::open_source(GetParam().data);
  for (const int count : {2, 3, 4}) {
    Values parts = train_parts(config, dataset, count, 4);
    parts.erase("fake");
    std::vector<Values> results(static_cast<std::size_t>(count));
    ThreadRanks ranks(count);
    ranks.run([&](runtime::Communicator& communicator) {
      base::set_threads(1);
      train::Stepper stepper(config, dataset, nullptr, {.communicator = &communicator});
      for (std::int64_t step = 0; step < 4; ++step) stepper.run(step, /*norms=*/step == 3);
      results[static_cast<std::size_t>(communicator.rank())] = values_of(stepper);
    });
    for (const Values& values : results) expect_same_bits(values, parts);
  }
}

TEST_P(Ranks, PartsEqualTheWholeBatch) {
  const train::Config config = config_of(GetParam());
  const data::Dataset dataset = data::open_source(GetParam().data);
  const Values first = train_parts(config, dataset, 1, 1), whole = train_parts(config, dataset, 1, 10);
  double largest = 0;
  for (const int count : {2, 3, 4}) {
    // After the first step Adam's first moments are the gradients times a constant, and momenta the gradients. In some
    // of them real rows and fakes cancel, which leaves the rounding of larger summands.
    for (const auto& [name, values] : train_parts(config, dataset, count, 1)) {
      if (!name.starts_with("adam.m.") && !name.starts_with("sgd.")) continue;
      // A gradient that is 0 but for rounding is compared with its summands.
      const bool vanishes = relative_error(std::vector<float>(values.size()), first.at(name), 1e-6) < 1;
      const double error = relative_error(values, first.at(name), vanishes ? 1 : 0);
      // The largest are 3.8e-6 with oneDNN 2.6 and 4.8e-6 with 3.7.
      EXPECT_LE(error, 6e-6) << name << " in " << count << " parts";
      largest = std::max(largest, error);
    }
    const Values parts = train_parts(config, dataset, count, 10);
    for (const char* name : {"loss.g", "loss.d", "verdict.real", "verdict.fake", "fake"})
      EXPECT_LE(relative_error(parts.at(name), whole.at(name), 1e-3), 1e-5) << name << " in " << count << " parts";
  }
  const bool compared = config.optim.name == "sgd" || config.optim.beta1 > 0;
  EXPECT_EQ(largest > 0, compared);
  RecordProperty("largest_error_of_a_gradient", fmt::format("{:.1e}", largest));
}

INSTANTIATE_TEST_SUITE_P(Trainings, Ranks, testing::ValuesIn(trainings()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(RanksOfParts, EqualEachOtherOnEveryBackend) {
  const train::Config config =
      config_of({"", "", {"model.g.widths=[8]", "model.d.widths=[8]", "model.g.batch_norm=true"}});
  const data::Dataset dataset = data::open_source("ring8");
  std::vector<Values> results;
  for (const runtime::Backend* backend : all_backends()) {
    train::Config of_parts = config;
    of_parts.train.parts = 3;
    train::Stepper stepper(of_parts, dataset, nullptr, {.backend = backend});
    for (std::int64_t step = 0; step < 3; ++step) stepper.run(step, /*norms=*/step == 2);
    results.push_back(values_of(stepper));
  }
  ThreadRanks ranks(3);
  ranks.run([&](runtime::Communicator& communicator) {
    for (const auto& backend : backends_of_rank(communicator)) {
      train::Stepper stepper(config, dataset, nullptr, {.backend = backend.get(), .communicator = &communicator});
      for (std::int64_t step = 0; step < 3; ++step) stepper.run(step, /*norms=*/step == 2);
      const Values values = values_of(stepper);
      if (communicator.rank() == 0) results.push_back(values);
    }
  });
  for (std::size_t other = 1; other < results.size(); ++other)
    for (const auto& [name, values] : results[0])
      EXPECT_LE(relative_error(results[other].at(name), values, 1e-6), 1e-3) << name;
}

TEST(RanksOfParts, ShareMemoryLessWhereBatchNormNeedsAllAtOnce) {
  const data::Dataset dataset = data::open_source("ring8");
  const auto bytes = [&](std::int64_t parts, const char* batch_norm) {
    train::Config config = config_of({"", "", {"train.batch=4096", std::string("model.g.batch_norm=") + batch_norm}});
    config.train.parts = parts;
    const std::size_t before = walled_bytes();
    const train::Stepper stepper(config, dataset, nullptr, {.backend = &walled_backend()});
    return static_cast<double>(walled_bytes() - before);
  };
  EXPECT_LT(bytes(8, "false"), bytes(1, "false") / 3);
  EXPECT_GT(bytes(8, "true"), 2 * bytes(8, "false"));
}

TEST(RanksOfParts, ComputeWhatDependsOnWeightsAloneOnce) {
  const data::Dataset dataset = data::open_source("ring8");
  const auto kernels = [&](std::int64_t parts) {
    train::Config config = config_of({"", "", {"model.g.spectral_norm=true", "model.d.spectral_norm=true"}});
    config.train.parts = parts;
    train::Stepper stepper(config, dataset, nullptr);
    std::map<std::string, int> counts;
    for (const runtime::Kernel& kernel : stepper.kernels(0, false)) ++counts[kernel.name];
    return counts;
  };
  const auto two = kernels(2), four = kernels(4);
  int same = 0, doubled = 0;
  for (const auto& [name, count] : two) {
    same += four.at(name) == count;
    doubled += four.at(name) == 2 * count;
  }
  EXPECT_GT(same, 3);
  EXPECT_GT(doubled, 3);
  EXPECT_EQ(two.at("all_reduce"), 2 * 2);  // of G and of D, for each part
}

TEST(RanksOfParts, MeetOnceForEachNetwork) {
  const train::Config config = config_of({"", "", {"train.d_steps=2"}});
  const data::Dataset dataset = data::open_source("ring8");
  ThreadRanks ranks(2);
  std::vector<int> meetings;
  std::mutex mutex;
  ranks.run([&](runtime::Communicator& communicator) {
    train::Stepper stepper(config, dataset, nullptr, {.communicator = &communicator});
    stepper.run(0, false);  // D alone
    const int first = ranks.exchanges(communicator.rank());
    stepper.run(1, false);
    const std::lock_guard lock(mutex);
    meetings.push_back(first);
    meetings.push_back(ranks.exchanges(communicator.rank()) - first);
  });
  EXPECT_EQ(meetings, (std::vector<int>{1, 2, 1, 2}));
}

TEST(AllReduce, AddsInTheOrderOfTheRanks) {
  const std::vector<float> summands{1e8f, 1.25f, -1e8f, 3.5f};
  float expected = summands[0];
  for (std::size_t i = 1; i < summands.size(); ++i) expected += summands[i];
  ThreadRanks ranks(4);
  ranks.run([&](runtime::Communicator& communicator) {
    for (const auto& backend : backends_of_rank(communicator)) {
      graph::Graph graph;
      const graph::Tensor x = graph.input("x", {graph::DType::f32, {3}}),
                          y = graph.input("y", {graph::DType::f32, {2, 2}});
      graph.output("sum", ops::all_reduce({x, y}));
      runtime::State state;
      state["x"] = runtime::Array({3}, std::vector<float>(3, summands[static_cast<std::size_t>(communicator.rank())]));
      state["y"] = runtime::Array({2, 2}, std::vector<float>{1, 2, 3, 4});
      runtime::Arena arena;
      compiler::compile(graph, {.disabled = {}, .backend = backend.get()}, state, arena).run();
      const runtime::Array sum = state.at("sum").on_host();
      ASSERT_EQ(sum.f32().size(), 7u);
      EXPECT_EQ(sum.f32()[1], expected);
      EXPECT_EQ(sum.f32()[3], 4);
      EXPECT_EQ(sum.f32()[6], 16);
    }
  });
}

TEST(RandomParts, AreSlicesOfTheWhole) {
  for (const std::int64_t count : {7, 64, 1001}) {
    const auto draw = [&](std::int64_t parts) {
      graph::Graph graph;
      const graph::Tensor key = graph.input("key", {graph::DType::i32, {2}}),
                          step = graph.input("step", {graph::DType::i32, {1}});
      const graph::Tensor part = graph.input("part", {graph::DType::i32, {1}});
      const ops::RandomSource source{key, step, part};
      graph.output("normal", ops::random_normal(source, 3, {12 / parts, count}));
      graph.output("uniform", ops::random_uniform(source, 4, {12 / parts, count}));
      runtime::State state;
      runtime::Arena arena;
      const auto program =
          compiler::compile(graph, {.disabled = {}, .parts = {.count = parts, .inputs = {"part"}}}, state, arena);
      for (std::int64_t p = 0; p < parts; ++p)
        state.at("part").i32()[static_cast<std::size_t>(p)] = static_cast<std::int32_t>(p);
      program.run();
      Values values;
      for (const char* name : {"normal", "uniform"})
        values[name].assign(state.at(name).f32().begin(), state.at(name).f32().end());
      return values;
    };
    const Values whole = draw(1);
    for (const std::int64_t parts : {2, 3, 4, 12}) expect_same_bits(draw(parts), whole);
  }
}

TEST(RanksShare, PiecesThatTheyFillInTurn) {
  for (const int ranks : {1, 2, 3, 6}) {
    ThreadRanks(ranks).run([&](runtime::Communicator& own) {
      for (const bool on_all : {false, true}) {
        std::vector<std::uint8_t> values(10);
        for (std::size_t i = 0; i < values.size(); ++i)
          if (static_cast<int>(i / 3) % ranks == own.rank()) values[i] = static_cast<std::uint8_t>(i + 1);
        runtime::collect_pieces(own, std::as_writable_bytes(std::span(values)), 3, on_all);
        if (own.rank() > 0 && !on_all) continue;
        EXPECT_EQ(values, (std::vector<std::uint8_t>{1, 2, 3, 4, 5, 6, 7, 8, 9, 10})) << own.rank();
      }
    });
  }
}

TEST(RanksShare, TheSearchForNearestImages) {
  constexpr std::int64_t kImages = 9000;  // three pieces
  data::Dataset images;
  images.sample_shape = {1, 4, 4};
  images.items = kImages;
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[kImages * 16]);
  std::mt19937 random(1);
  std::generate_n(pixels.get(), 8192 * 16, [&] { return static_cast<std::uint8_t>(random()); });
  // The first and the last piece begin alike: of equally near images the first counts.
  std::copy_n(pixels.get(), (kImages - 8192) * 16, pixels.get() + 8192 * 16);
  images.pixels = pixels;
  const std::vector<float> rows = eval::pixel_rows(images, 8000, 500);
  const metrics::Nearest one = eval::nearest_images(rows, images, runtime::one_rank());
  const std::vector<double> shifted = eval::nearest_shifted(images, 100, images, runtime::one_rank());
  EXPECT_EQ(one.index.front(), 8000);
  EXPECT_EQ(one.index.back(), 8499 - 8192);
  for (const int ranks : {2, 3, 4}) {
    ThreadRanks(ranks).run([&](runtime::Communicator& own) {
      const metrics::Nearest found = eval::nearest_images(rows, images, own);
      EXPECT_EQ(found.index, one.index) << ranks;
      EXPECT_EQ(found.distance, one.distance) << ranks;
      EXPECT_EQ(eval::nearest_shifted(images, 100, images, own), shifted) << ranks;
    });
  }
}

TEST(RanksShare, RowsThatAreComparedWithRows) {
  std::vector<float> values(1500 * 3);  // blocks of 512
  std::mt19937 random(2);
  std::ranges::generate(values, [&] { return std::uniform_real_distribution<float>()(random); });
  const metrics::Rows rows{values, 3}, validation = rows.slice(0, 600);
  const std::vector<double> others = metrics::nearest_other(rows);
  const metrics::Parzen parzen = metrics::parzen(validation, validation, rows);
  for (const int ranks : {2, 3, 4}) {
    ThreadRanks(ranks).run([&](runtime::Communicator& own) {
      EXPECT_EQ(metrics::nearest_other(rows, own), others) << ranks;
      const metrics::Parzen found = metrics::parzen(validation, validation, rows, own);
      EXPECT_EQ(found.mean, parzen.mean) << ranks;
      EXPECT_EQ(found.sigma, parzen.sigma) << ranks;
    });
  }
}

TEST(RanksBadInput, ABatchDividesAmongThem) {
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = config_of({"", "", {"train.batch=50", "train.parts=2", "model.pack=5"}});
  ThreadRanks ranks(3);
  try {
    ranks.run([&](runtime::Communicator& communicator) {
      train::Stepper stepper(config, dataset, nullptr, {.communicator = &communicator});
    });
    FAIL();
  } catch (const base::Error& error) {
    EXPECT_STREQ(error.what(),
                 "train.batch = 50 does not divide among 3 ranks with 2 parts each into whole packs of 5; the nearest "
                 "that do: 30 and 60");
  }
}

TEST(RanksBadInput, AVariableThatDependsOnAPartIsRefused) {
  graph::Graph graph;
  const graph::Tensor x = graph.input("x", {graph::DType::f32, {4}}), w = graph.input("w", {graph::DType::f32, {}});
  graph.output("w", ops::add(w, ops::sum(x)));
  runtime::State state;
  runtime::Arena arena;
  EXPECT_THROW(compiler::compile(graph, {.disabled = {}, .parts = {.count = 2, .inputs = {"x"}}}, state, arena),
               base::Error);
}

TEST(RanksBadInput, RanksThatDifferAreNamed) {
  ThreadRanks ranks(3);
  std::vector<std::string> messages(3);
  ranks.run([&](runtime::Communicator& communicator) {
    const std::string batch = communicator.rank() == 2 ? "128" : "64";
    try {
      runtime::require_agreement(communicator, {{"gan", "1"}, {"train.batch =", batch}});
    } catch (const base::Error& error) {
      messages[static_cast<std::size_t>(communicator.rank())] = error.what();
    }
  });
  for (const std::string& message : messages)
    EXPECT_EQ(message, "rank 2 has train.batch = 128, rank 0 has 64; all ranks must have the same");
}

}  // namespace
}  // namespace gan::test
