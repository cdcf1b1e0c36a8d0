// The CUDA backend on the stand-in of a GPU. The op suite, the golden tests and ten training steps run on it, too
// (all_backends).
#include "runtime/cuda/backend.h"

#include <gtest/gtest.h>

#include <array>
#include <filesystem>
#include <fstream>
#include <limits>
#include <mutex>
#include <stdexcept>

#include "base/bf16.h"
#include "base/error.h"
#include "base/file.h"
#include "base/random.h"
#include "compare.h"
#include "compiler/compile.h"
#include "cuda/stand_in.h"
#include "data/source.h"
#include "eval/classifier.h"
#include "graph_helpers.h"
#include "metrics/prdc.h"
#include "op_suite/build.h"
#include "op_suite/cases.h"
#include "ops/ops.h"
#include "program.h"
#include "runtime/cuda/device.h"
#include "runtime/out_of_memory.h"
#include "thread_ranks.h"
#include "train/checkpoint.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "train/stepper.h"
#include "train/trainer.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

using graph::DType;
using graph::Tensor;
using runtime::cuda::SourceKernel;

std::shared_ptr<runtime::Backend> backend_of(const StandIn& stand_in) {
  return runtime::cuda::make_backend(stand_in.functions(), 0, stand_in_cache());
}

train::Config small_vectors() {
  train::Config config = train::load_preset("vector");
  const std::vector<std::string> settings{"train.batch=32", "model.g.widths=[16,16]", "model.d.widths=[16,16]"};
  train::apply_settings(config, settings);
  return config;
}

/// Small images, a convolutional network, its penalties and augmentation.
train::Config small_images() {
  train::Config config = train::load_preset("conv");
  const std::vector<std::string> settings{"train.batch=8", "model.g.widths=[8,4]", "model.d.widths=[4,8]",
                                          "penalty.r1=0.5"};
  train::apply_settings(config, settings);
  return config;
}

data::Dataset images(std::int64_t side) {
  data::Dataset dataset;
  dataset.source = dataset.name = "random";
  dataset.sample_shape = {1, side, side};
  dataset.condition = data::label_condition(3);
  dataset.items = 64;
  const auto bytes = static_cast<std::size_t>(dataset.items * side * side);
  const std::shared_ptr<std::uint8_t[]> pixels(new std::uint8_t[bytes]);
  const base::RandomStream random(1, 1);
  for (std::size_t i = 0; i < bytes; ++i) pixels[i] = static_cast<std::uint8_t>(random.bits(i));
  dataset.pixels = pixels;
  std::vector<std::int32_t> classes;
  for (std::int32_t i = 0; i < dataset.items; ++i) classes.push_back(i % 3);
  dataset.rows = std::move(classes);
  return dataset;
}

/// Every variable after some steps.
std::map<std::string, std::vector<float>> trained(const train::Config& config, const data::Dataset& dataset,
                                                  const runtime::Backend* backend, std::int64_t steps,
                                                  runtime::Communicator* communicator = nullptr) {
  train::Stepper stepper(config, dataset, nullptr, {.backend = backend, .communicator = communicator});
  for (std::int64_t step = 0; step < steps; ++step) stepper.run(step, /*norms=*/step + 1 == steps);
  std::map<std::string, std::vector<float>> values;
  for (const nn::Variable& variable : stepper.variables()) {
    const runtime::Array array = stepper.state().at(variable.name).on_host();
    values[variable.name].assign(array.f32().begin(), array.f32().end());
  }
  for (const char* scalar : {"loss.g", "loss.d", "norm.g", "norm.d"}) values[scalar] = {stepper.scalar(scalar)};
  return values;
}

// ---- bits ----

TEST(Cuda, TwoRunsHaveTheSameBitsInWhateverOrderThreadsRun) {
  const data::Dataset dataset = images(8);
  const train::Config config = small_images();
  const StandIn forwards, backwards({.backwards = true});
  const auto first = trained(config, dataset, backend_of(forwards).get(), 6);
  EXPECT_EQ(first, trained(config, dataset, backend_of(forwards).get(), 6));
  EXPECT_EQ(first, trained(config, dataset, backend_of(backwards).get(), 6));
  EXPECT_GT(forwards.launched_graphs(), 0);
  EXPECT_GT(forwards.reordered(), 100u) << "independent kernels of a graph run side by side";
}

TEST(Cuda, StepsOfConvolutionsFollowTheProcessor) {
  const data::Dataset dataset = images(8);
  train::Config config = small_images();
  // Adam would turn the rounding of gradients that vanish into whole steps.
  train::apply_settings(config, std::vector<std::string>{"optim.name=sgd", "train.precision=f32"});
  const auto expected = trained(config, dataset, nullptr, 10);
  const auto actual = trained(config, dataset, &stand_in_backend(), 10);
  for (const auto& [name, values] : expected) EXPECT_LE(relative_error(actual.at(name), values, 1e-3), 1e-5) << name;
}

TEST(Cuda, PicturesAfterTenStepsAreThoseOfTheProcessor) {
  const data::Dataset dataset = images(8);
  train::Config config = small_images();
  train::apply_settings(config, std::vector<std::string>{"optim.name=sgd", "train.precision=f32"});
  train::apply_settings(config, std::vector<std::string>{"train.steps=10", "watchdog.every=0"});
  const Folder folder;
  std::vector<float> drawn[2];
  for (const bool there : {false, true}) {
    train::RunOptions options;
    options.directory = folder / (there ? "there" : "here");
    options.backend = there ? &stand_in_backend() : nullptr;
    train::train_run(config, dataset, options, {});
    train::Sampler sampler(train::load_model(options.directory), "f32", {}, options.backend);
    std::vector<float> z(static_cast<std::size_t>(6 * config.model.latent));
    sampler.latents(5, 0, z);
    drawn[there].resize(static_cast<std::size_t>(6 * graph::element_count(dataset.sample_shape)));
    sampler.sample(z, std::vector<std::int32_t>{0, 1, 2, 0, 1, 2}, drawn[there]);
  }
  EXPECT_LE(relative_error(drawn[1], drawn[0]), 1e-5);
}

TEST(Cuda, AnUnfoldedBatchThatIsTooLargeIsTakenInPieces) {
  const data::Dataset dataset = images(8);
  train::Config config = small_images();
  train::apply_settings(config, std::vector<std::string>{"optim.name=sgd", "train.precision=f32"});
  // A 64th of the memory holds three images of 16 pixels with 16 floats each, or of 4 pixels with 64.
  const StandIn roomy({.refused_captures = 2}), tight({.says_total = 64 * 3 * 1024, .refused_captures = 2});
  const auto expected = trained(config, dataset, backend_of(roomy).get(), 3);
  const auto actual = trained(config, dataset, backend_of(tight).get(), 3);
  for (const auto& [name, values] : expected) EXPECT_LE(relative_error(actual.at(name), values, 1e-3), 1e-5) << name;
  const auto launches = [&](const StandIn& stand_in) {
    const auto backend = backend_of(stand_in);
    train::Stepper stepper(config, dataset, nullptr, {.backend = backend.get()});
    for (std::int64_t step = 0; step < 2; ++step) stepper.run(0, /*norms=*/false);
    return stepper.launches(0, false);
  };
  EXPECT_GT(launches(tight), launches(roomy) + 10);
}

TEST(Cuda, ADriverThatRefusesGraphsGetsKernelsOneByOne) {
  const data::Dataset ring = data::open_source("ring8");
  const StandIn willing, serial({.refused_captures = 1}), unwilling({.refused_captures = 2}),
      never({.refused_captures = 3});
  const auto expected = trained(small_vectors(), ring, backend_of(willing).get(), 4);
  EXPECT_EQ(trained(small_vectors(), ring, backend_of(serial).get(), 4), expected);
  EXPECT_EQ(trained(small_vectors(), ring, backend_of(unwilling).get(), 4), expected);
  EXPECT_EQ(trained(small_vectors(), ring, backend_of(never).get(), 4), expected);
  EXPECT_EQ(serial.launched_graphs(), willing.launched_graphs());
  EXPECT_EQ(unwilling.launched_graphs(), 0);
  const auto backend = backend_of(unwilling);
  const int captures = unwilling.captures();
  train::Stepper stepper(small_vectors(), ring, nullptr, {.backend = backend.get()});
  for (std::int64_t step = 0; step < 5; ++step) stepper.run(step, /*norms=*/false);
  EXPECT_EQ(unwilling.captures(), captures + 2) << "it is asked once for each kind of graph";
  EXPECT_GE(stepper.launches(0, false), stepper.kernels(0, false).size());
  const auto other = backend_of(willing);
  train::Stepper graphs(small_vectors(), ring, nullptr, {.backend = other.get()});
  EXPECT_EQ(graphs.launches(0, false), 1u);
}

TEST(Cuda, FrozenWeightsOfASamplerAreOneSource) {
  const train::Model model = untrained_model("lsgan-r1r2", 1, data::label_condition(10),
                                             [](train::Config& config) {
                                               config.model.g.widths = {32, 16};
                                             },
                                             {1, 8, 8});
  const StandIn stand_in;
  const auto backend = runtime::cuda::make_backend(stand_in.functions(), 0, "");
  train::Sampler sampler(model, "f32", {}, backend.get());
  std::vector<float> z(static_cast<std::size_t>(3 * model.config.model.latent)), drawn(3 * 64);
  sampler.sample(z, std::vector<std::int32_t>{0, 1, 2}, drawn);
  EXPECT_LE(stand_in.compilations(), 2);
}

TEST(Cuda, ArchitecturesOfNvrtcAreChosenByWhatTheGpuRuns) {
  const std::vector<int> known{75, 80, 90, 100, 120};
  EXPECT_EQ(runtime::cuda::newest_known(known, 90), 90);
  EXPECT_EQ(runtime::cuda::newest_known(known, 103), 100);
  EXPECT_EQ(runtime::cuda::newest_known(known, 999), 120);
  EXPECT_THROW(runtime::cuda::newest_known(known, 70), base::Error);
}

TEST(Cuda, GroupedConvolutionsWithPenaltiesFollowTheProcessor) {
  const data::Dataset dataset = images(8);
  train::Config config = train::load_preset("residual");
  train::apply_settings(config,
                        std::vector<std::string>{"train.batch=4", "model.g.widths=[16,8]", "model.d.widths=[8,16]",
                                                 "optim.name=sgd", "train.precision=f32"});
  const auto expected = trained(config, dataset, nullptr, 2);
  const auto actual = trained(config, dataset, &stand_in_backend(), 2);
  for (const auto& [name, values] : expected) EXPECT_LE(relative_error(actual.at(name), values, 1e-3), 1e-5) << name;
}

TEST(Cuda, StepsInBf16AreNearThoseInF32) {
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = small_vectors();
  config.train.precision = "f32";
  const auto exact = trained(config, dataset, &stand_in_backend(), 1);
  config.train.precision = "bf16";
  const auto rounded = trained(config, dataset, &stand_in_backend(), 1);
  EXPECT_NE(rounded.at("loss.d"), exact.at("loss.d"));
  EXPECT_NEAR(rounded.at("loss.d")[0], exact.at("loss.d")[0], 2e-2f * std::abs(exact.at("loss.d")[0]));
  EXPECT_NEAR(rounded.at("norm.g")[0], exact.at("norm.g")[0], 5e-2f * std::abs(exact.at("norm.g")[0]));
}

TEST(Cuda, RandomNumbersHaveTheBitsOfTheProcessor) {
  std::vector<std::vector<float>> drawn;
  for (const runtime::Backend* backend : {static_cast<const runtime::Backend*>(&runtime::default_backend()),
                                          static_cast<const runtime::Backend*>(&stand_in_backend())}) {
    graph::Graph graph;
    const graph::Tensor key = graph.input("key", {DType::i32, {2}}), step = graph.input("step", {DType::i32, {1}});
    graph.output("normals", ops::random_normal({key, step}, 77, {4099}));
    graph.output("uniforms", ops::random_uniform({key, step}, 78, {4099}));
    runtime::State state;
    state["key"] = runtime::Array({DType::i32, {2}});
    state["step"] = runtime::Array({DType::i32, {1}});
    state["key"].i32()[0] = -5;
    state["key"].i32()[1] = 9;
    state["step"].i32()[0] = 1234567;
    runtime::Arena arena;
    compiler::compile(graph, {.backend = backend}, state, arena).run();
    for (const char* name : {"normals", "uniforms"}) {
      const runtime::Array array = state.at(name).on_host();
      drawn.emplace_back(array.f32().begin(), array.f32().end());
    }
  }
  EXPECT_EQ(drawn[0], drawn[2]);
  EXPECT_EQ(drawn[1], drawn[3]);
}

TEST(Cuda, AResumedRunHasTheBytesOfOneThatWasNotStopped) {
  const Folder folder;
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = small_vectors();
  train::apply_settings(config, std::vector<std::string>{"train.steps=12", "train.log_every=4"});
  const auto run = [&](const std::string& name, std::int64_t stop_after, bool resume) {
    train::Callbacks callbacks;
    std::int64_t steps = 0;
    if (stop_after > 0) callbacks.stop_requested = [&] { return steps++ == stop_after; };
    std::string notes;
    callbacks.on_note = [&](const std::string& text) { notes += text; };
    train::RunOptions options;
    options.directory = folder / name;
    options.resume = resume;
    options.backend = &stand_in_backend();
    train::train_run(config, dataset, options, callbacks);
    return notes;
  };
  run("whole", 0, false);
  run("parts", 5, false);
  const std::string notes = run("parts", 0, true);
  EXPECT_EQ(notes.find("results may differ"), std::string::npos) << notes;
  const auto weights = [&](const std::string& name) {
    return train::load_model(folder / name).weights.at("generator.model.0.weight").on_host();
  };
  const runtime::Array whole = weights("whole"), parts = weights("parts");
  EXPECT_TRUE(std::ranges::equal(whole.f32(), parts.f32()));
  // On another device it goes on, and says so.
  train::RunOptions options;
  options.directory = folder / "whole";
  options.resume = true;
  train::apply_settings(config, std::vector<std::string>{"train.steps=14"});
  std::string said;
  train::Callbacks callbacks;
  callbacks.on_note = [&](const std::string& text) { said += text; };
  train::train_run(config, dataset, options, callbacks);
  EXPECT_NE(said.find(" so far, now it is on the processor"), std::string::npos) << said;
  EXPECT_NE(said.find("the run was on stand-in (compute capability 8.0), driver 13000, NVRTC "), std::string::npos)
      << said;
}

TEST(Cuda, ASamplerDrawsWhatTheProcessorDraws) {
  const train::Model model = untrained_model("lsgan-r1r2", 1, data::label_condition(10),
                                             [](train::Config& config) {
                                               config.model.g.widths = {32, 16};
                                             },
                                             {1, 8, 8});
  std::vector<float> z(static_cast<std::size_t>(3 * model.config.model.latent)), drawn[2];
  train::Sampler(model).latents(5, 0, z);
  for (const bool there : {false, true}) {
    train::Sampler sampler(model, "f32", {}, there ? &stand_in_backend() : nullptr);
    drawn[there].resize(static_cast<std::size_t>(3 * graph::element_count(model.sample_shape)));
    for (int i = 0; i < 2; ++i) sampler.sample(z, std::vector<std::int32_t>{0, 1, 2}, drawn[there]);
  }
  EXPECT_LE(relative_error(drawn[1], drawn[0]), 1e-5);
}

TEST(Cuda, FeaturesOfPicturesAreThoseOfTheProcessor) {
  const data::Dataset dataset = images(8);
  const eval::Classifier classifier = eval::train_classifier(dataset, /*seed=*/1, nullptr);
  const eval::Embedded here = eval::Embedder(classifier).embed(dataset);
  const eval::Embedded there = eval::Embedder(classifier, &stand_in_backend()).embed(dataset);
  EXPECT_EQ(there.classes, here.classes);
  EXPECT_LE(relative_error(there.features, here.features), 1e-5);
}

class CudaOrder : public testing::TestWithParam<OpCase> {};

// Threads of one phase do not depend on each other, nor do blocks.
TEST_P(CudaOrder, OfThreadsChangesNoBit) {
  std::map<std::string, std::vector<float>> results[2];
  for (const bool backwards : {false, true}) {
    const StandIn stand_in({.backwards = backwards});
    const auto backend = backend_of(stand_in);
    Built built;
    build(GetParam(), built);
    add_outputs(GetParam(), built);
    runtime::State state;
    for (const auto& [name, id] : built.graph.inputs()) {
      const graph::TensorType& type = built.graph.node(id).type;
      const std::vector<double>& from = built.values.at(name);
      runtime::Array& array = state[name] = runtime::Array(type);
      for (std::size_t i = 0; i < from.size(); ++i)
        if (type.dtype == DType::i32)
          array.i32()[i] = static_cast<std::int32_t>(from[i]);
        else
          array.f32()[i] = static_cast<float>(from[i]);
    }
    std::vector<std::string> names;
    for (const auto& [name, id] : built.graph.outputs()) names.push_back(name);
    runtime::Arena arena;
    const runtime::Program program = compiler::compile(built.graph, {.backend = backend.get()}, state, arena);
    program.run();
    for (const std::string& name : names) {
      const runtime::Array array = state.at(name).on_host();
      results[backwards][name].assign(array.f32().begin(), array.f32().end());
    }
  }
  EXPECT_EQ(results[0], results[1]);
}

INSTANTIATE_TEST_SUITE_P(Table, CudaOrder, testing::ValuesIn(op_cases()), [](const auto& info) {
  std::string name = info.param.op + "_" + info.param.name + "_" + std::to_string(info.index);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
});

// ---- products without cuBLASLt, memory, the cache, profiles ----

TEST(Cuda, ProductsHaveKernelsOfTheirOwnWhereCublasltHasNone) {
  const StandIn without({.without_blas = true});
  const data::Dataset dataset = images(8);
  train::Config config = small_images();
  train::apply_settings(config, std::vector<std::string>{"optim.name=sgd", "train.precision=f32"});
  const auto expected = trained(config, dataset, nullptr, 3);
  const auto actual = trained(config, dataset, backend_of(without).get(), 3);
  for (const auto& [name, values] : expected) EXPECT_LE(relative_error(actual.at(name), values, 1e-3), 1e-5) << name;
}

/// The values of a graph's output "d", with inputs at random, and how many kernels computed it.
std::pair<std::vector<float>, std::size_t> computed(graph::Graph& g, runtime::Backend* backend) {
  runtime::State state;
  for (const auto& [name, id] : g.inputs()) {
    runtime::Array& array = state[name] = runtime::Array(g.node(id).type);
    const base::RandomStream random(1, static_cast<std::uint32_t>(name[0]));
    for (std::size_t i = 0; i < array.f32().size(); ++i)  // bf16 holds these numbers
      array.f32()[i] = base::from_bf16(base::to_bf16(random.normal(i)));
  }
  runtime::Arena arena;
  runtime::Program program = compiler::compile(g, {.backend = backend}, state, arena);
  program.run();
  const runtime::Array array = state.at("d").on_host();
  return {{array.f32().begin(), array.f32().end()}, program.kernels().size()};
}

TEST(Cuda, ProductsAddABiasToTheirRows) {
  struct Case {
    std::int64_t width;
    graph::Shape bias;
    bool convolution, in_product;
  };
  const StandIn with_blas, without_blas({.without_blas = true});
  const auto blas = backend_of(with_blas), own = backend_of(without_blas);
  for (const Case& c : {Case{5, {5}, false, true}, Case{1, {1}, false, true}, Case{3, {3}, true, true},
                        Case{5, {8, 5}, false, false}, Case{8, {8, 1}, false, false}, Case{5, {}, false, false}}) {
    SCOPED_TRACE(graph::to_string(c.bias) + (c.convolution ? " of a convolution" : ""));
    graph::Graph g;
    const Tensor bias = input(g, "bias", c.bias);
    const Tensor product = c.convolution
                               ? ops::conv2d(input(g, "x", {2, 6, 6, 4}), input(g, "w", {c.width, 4, 3, 3}), 1, 1, 1)
                               : ops::matmul(input(g, "x", {8, 7}), input(g, "w", {c.width, 7}), false, true);
    g.output("d", product + bias);
    const int before = with_blas.biases();
    const auto [expected, of_processor] = computed(g, nullptr);
    const auto [actual, kernels] = computed(g, blas.get());
    EXPECT_LE(relative_error(actual, expected), 1e-6);
    EXPECT_LE(relative_error(computed(g, own.get()).first, expected), 1e-6);
    EXPECT_EQ(kernels, c.in_product ? 1u : 2u);
    EXPECT_EQ(with_blas.biases() - before, c.in_product ? 1 : 0);
  }
}

TEST(Cuda, ProductsOfOurOwnComputeWhatFollowsThem) {
  const StandIn stand_in, without_blas({.without_blas = true});
  const auto own =
      runtime::cuda::make_backend(stand_in.functions(), 0, stand_in_cache(), runtime::one_rank(), {runtime::kCublasLt});
  const auto separate = backend_of(without_blas);
  const data::Dataset ring = data::open_source("ring8");
  for (const char* precision : {"f32", "bf16"}) {
    train::Config config = small_vectors();
    train::apply_settings(config,
                          std::vector<std::string>{"optim.name=sgd", std::string("train.precision=") + precision});
    const auto expected = trained(config, ring, separate.get(), 4), actual = trained(config, ring, own.get(), 4);
    for (const auto& [name, values] : expected) EXPECT_LE(relative_error(actual.at(name), values, 1e-3), 1e-5) << name;
  }
  graph::Graph g;
  const Tensor product = ops::matmul(input(g, "x", {8, 7}), input(g, "w", {5, 7}), false, true);
  g.output("d", ops::relu(product + input(g, "bias", {5})));
  const auto [expected, two_kernels] = computed(g, separate.get());
  const auto [actual, one_kernel] = computed(g, own.get());
  EXPECT_LE(relative_error(actual, expected), 1e-6);
  EXPECT_EQ(two_kernels, 2u);
  EXPECT_EQ(one_kernel, 1u);
}

// Tiles of all widths, cut off at every edge, operands along both of their axes.
TEST(Cuda, ProductsOfOurOwnMultiplyWhatTheProcessorMultiplies) {
  const StandIn stand_in;
  const auto own =
      runtime::cuda::make_backend(stand_in.functions(), 0, stand_in_cache(), runtime::one_rank(), {runtime::kCublasLt});
  for (const DType dtype : {DType::f32, DType::bf16})
    for (const auto& [m, n, k] : std::vector<std::array<std::int64_t, 3>>{
             {300, 3, 40}, {260, 7, 33}, {130, 13, 17}, {70, 30, 50}, {65, 70, 100}, {16, 8, 16}})
      for (const int transposed : {0, 1, 2, 3}) {
        const bool of_a = transposed & 1, of_b = transposed & 2;
        graph::Graph g;
        const Tensor a = input(g, "a", of_a ? graph::Shape{k, m} : graph::Shape{m, k});
        const Tensor b = input(g, "b", of_b ? graph::Shape{n, k} : graph::Shape{k, n});
        g.output("d", ops::matmul(ops::cast(a, dtype), ops::cast(b, dtype), of_a, of_b));
        EXPECT_LE(relative_error(computed(g, own.get()).first, computed(g, nullptr).first), 1e-5)
            << name_of(dtype) << " " << m << " " << n << " " << k << " transposed " << transposed;
      }
}

// ---- data on the device ----

TEST(Cuda, StepsTakeRowsOfADataSetThatFits) {
  const data::Dataset ring = data::open_source("ring8");
  const std::size_t bytes = ring.points.size() * sizeof(float);
  const StandIn roomy, tight({.says_free = 4 * bytes - 1});
  EXPECT_EQ(trained(small_vectors(), ring, backend_of(roomy).get(), 6),
            trained(small_vectors(), ring, backend_of(tight).get(), 6));
  const auto bytes_of = [&](const StandIn& stand_in) {
    const auto backend = backend_of(stand_in);
    const train::Stepper stepper(small_vectors(), ring, nullptr, {.backend = backend.get()});
    return stand_in.bytes_in_use();
  };
  EXPECT_GT(bytes_of(roomy), bytes_of(tight) + bytes / 2);
}

TEST(Cuda, StepsFollowEachOtherWithoutTheHost) {
  const data::Dataset ring = data::open_source("ring8");
  const StandIn stand_in;
  const auto backend = backend_of(stand_in);
  train::Stepper stepper(small_vectors(), ring, nullptr, {.backend = backend.get()});
  stepper.run(0, /*norms=*/false);
  const int copies = stand_in.copies_to_device();
  for (std::int64_t step = 1; step < 20; ++step) stepper.run(step, /*norms=*/false);
  EXPECT_EQ(stand_in.copies_to_device(), copies);
}

// Steps of 65,536 rows are sent together: 2,048 of 32 rows. Parts of a batch take their own; the condition is a number.
TEST(Cuda, StepsInAnyOrderTakeTheirRows) {
  const data::Dataset circle = data::open_source("circle");
  const StandIn roomy, tight({.says_free = 0});
  const auto losses_of = [&](const StandIn& stand_in, std::int64_t parts) {
    train::Config config = small_vectors();
    train::apply_settings(config, std::vector<std::string>{"penalty.r1=0.1", "penalty.every=2", "train.d_steps=3",
                                                           "optim.schedule=budget"});
    config.train.parts = parts;
    const auto backend = backend_of(stand_in);
    train::Stepper stepper(config, circle, nullptr, {.backend = backend.get()});
    std::vector<float> losses;
    for (const std::int64_t step : {7, 8, 2'054, 2'055, 2'056, 8, 3}) {
      stepper.run(step, /*norms=*/step % 2 == 0, /*done=*/0.9);
      losses.push_back(stepper.scalar("loss.d"));
    }
    return losses;
  };
  for (const std::int64_t parts : {1, 2}) EXPECT_EQ(losses_of(roomy, parts), losses_of(tight, parts)) << parts;
}

TEST(Cuda, DistancesAreThoseOfTheProcessor) {
  const base::RandomStream random(1, 1);
  std::vector<float> real(600 * 16), fake(500 * 16);
  for (std::size_t i = 0; i < real.size(); ++i) real[i] = static_cast<float>(random.bits(i) % 1000) / 1000;
  for (std::size_t i = 0; i < fake.size(); ++i) fake[i] = static_cast<float>(random.bits(20'000 + i) % 1000) / 900;
  const metrics::Prdc expected = metrics::prdc({real, 16}, {fake, 16}),
                      actual = metrics::prdc({real, 16}, {fake, 16}, 5, &stand_in_backend());
  EXPECT_NEAR(actual.precision, expected.precision, 0.005);
  EXPECT_NEAR(actual.recall, expected.recall, 0.005);
  EXPECT_NEAR(actual.density, expected.density, 0.005);
  EXPECT_NEAR(actual.coverage, expected.coverage, 0.005);
}

TEST(CudaBadInput, OutOfMemorySaysHowMuchWasWantedAndWhichBatchFits) {
  const StandIn small({.memory = std::size_t{40} << 20});
  const auto backend = backend_of(small);
  train::Config config = small_vectors();
  train::apply_settings(config, std::vector<std::string>{"train.batch=20000"});
  data::Dataset dataset = data::open_source("ring8");
  try {
    train::Stepper stepper(config, dataset, nullptr, {.backend = backend.get()});
    FAIL() << "it fits";
  } catch (const base::Error& error) {
    const std::string text = error.what();
    EXPECT_EQ(error.kind(), base::ErrorKind::run);
    EXPECT_NE(text.find("stand-in: out of memory: "), std::string::npos) << text;
    const std::size_t at = text.find("; a batch of ");
    ASSERT_NE(at, std::string::npos) << text;
    const std::int64_t batch = std::stoll(text.substr(at + 13));
    EXPECT_GT(batch, 1000);
    config.train.batch = batch;
    const StandIn other({.memory = std::size_t{40} << 20});
    const auto again = backend_of(other);
    EXPECT_NO_THROW(train::Stepper(config, dataset, nullptr, {.backend = again.get()})) << batch;
  }
}

TEST(Cuda, KernelsAreCompiledOnceAndKeptInTheCache) {
  const Folder folder;
  const data::Dataset dataset = data::open_source("ring8");
  const train::Config config = small_vectors();
  const auto compilations = [&] {
    const StandIn stand_in;
    const auto backend = runtime::cuda::make_backend(stand_in.functions(), 0, folder / "cache");
    trained(config, dataset, backend.get(), 2);
    return stand_in.compilations();
  };
  const int first = compilations();
  EXPECT_GE(first, 1);
  EXPECT_LE(first, 4) << "one source for each program";
  EXPECT_EQ(compilations(), 0);
  // A file that is cut off is made again.
  for (const auto& file : std::filesystem::directory_iterator(folder / "cache/kernels"))
    std::filesystem::resize_file(file.path(), std::filesystem::file_size(file.path()) / 2);
  EXPECT_EQ(compilations(), first);
  EXPECT_EQ(compilations(), 0);
}

TEST(Cuda, AProfileHasTheTimesOfTheKernels) {
  runtime::Profile profile;
  const data::Dataset dataset = data::open_source("ring8");
  train::Stepper stepper(small_vectors(), dataset, nullptr, {.profile = &profile, .backend = &stand_in_backend()});
  stepper.run(0, false);
  double seconds = 0;
  for (const auto& row : profile.rows(runtime::Profile::Kind::kernel, true)) seconds += row.seconds;
  EXPECT_GT(seconds, 0);
}

TEST(CudaBadInput, OldGpusAndNumbersThatAreNotThereAreRefused) {
  const auto message = [](int capability, int number) -> std::string {
    const StandIn stand_in({.capability = capability});
    try {
      runtime::cuda::make_backend(stand_in.functions(), number, "");
    } catch (const base::Error& error) {
      return error.what();
    }
    return "";
  };
  EXPECT_EQ(message(70, 0), "stand-in has compute capability 7.0; 7.5 or more is needed");
  EXPECT_EQ(message(80, 1), "there is no GPU 1: the driver shows 1");
  EXPECT_EQ(message(75, 0), "");
}

TEST(Cuda, OlderGpusComputeInF32) {
  const StandIn turing({.capability = 75}), ampere;
  EXPECT_FALSE(backend_of(turing)->has_bf16());
  EXPECT_EQ(compiler::choose_precision("auto", backend_of(turing).get()), compiler::Precision::f32);
  EXPECT_THROW(compiler::choose_precision("bf16", backend_of(turing).get()), base::Error);
  EXPECT_EQ(compiler::choose_precision("auto", backend_of(ampere).get()), compiler::Precision::bf16);
}

// Two products that run side by side must not share cuBLASLt's workspace; most need none.
TEST(Cuda, ProductsThatNeedTheWorkspaceWaitForEachOther) {
  const StandIn stand_in;
  runtime::cuda::Device device(stand_in.functions(), 0, "");
  const auto memory = device.allocate(1 << 20);
  const auto product = [&](std::int64_t depth, std::size_t place) {
    const auto at = reinterpret_cast<runtime::cuda::Address>(memory.get()) + (place << 18);
    return device.task(runtime::cuda::Product{{4, 4, depth}, at, at + 65536, at + 131072}).value().touched;
  };
  EXPECT_FALSE(product(16, 1).depends_on(product(16, 0)));
  EXPECT_FALSE(product(128, 1).depends_on(product(16, 0)));
  EXPECT_TRUE(product(128, 1).depends_on(product(128, 0)));
  EXPECT_TRUE(product(16, 0).depends_on(product(16, 0))) << "it writes the same result";
}

// ---- several ranks ----

using runtime::Communicator;

std::shared_ptr<runtime::Backend> backend_of(const StandIn& stand_in, Communicator& communicator) {
  return runtime::cuda::make_backend(stand_in.functions(), std::nullopt, stand_in_cache(), communicator);
}

/// What each rank's work throws, "" if nothing.
template <typename Error>
std::vector<std::string> messages_of(int count, const std::function<void(Communicator&)>& work) {
  std::vector<std::string> messages(static_cast<std::size_t>(count));
  ThreadRanks(count).run([&](Communicator& communicator) {
    try {
      work(communicator);
    } catch (const Error& error) {
      messages[static_cast<std::size_t>(communicator.rank())] = error.what();
    }
  });
  return messages;
}

TEST(CudaRanks, AloneNeedNoNccl) {
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = small_vectors();
  config.train.parts = 2;  // else there is no sum at all
  const StandIn stand_in({.without_nccl = true});
  ThreadRanks(1).run([&](Communicator& communicator) {
    trained(config, dataset, backend_of(stand_in, communicator).get(), 2, &communicator);
  });
  EXPECT_EQ(stand_in.sums() + stand_in.sums_in_graphs(), 0);
}

TEST(CudaRanks, TakeTheGpuOfTheirNumber) {
  std::vector<int> devices(3);
  ThreadRanks(3).run([&](Communicator& communicator) {
    const StandIn stand_in({.devices = 2});
    backend_of(stand_in, communicator);
    devices[static_cast<std::size_t>(communicator.rank())] = stand_in.device();
  });
  EXPECT_EQ(devices, (std::vector<int>{0, 1, 0}));
}

#ifdef GAN_NCCL

TEST(CudaRanks, EqualPartsToTheBit) {
  train::Config vectors = small_vectors(), pictures = small_images();
  train::apply_settings(vectors, std::vector<std::string>{"train.batch=24", "model.g.batch_norm=true",
                                                          "model.d.spectral_norm=true", "penalty.every=2"});
  train::apply_settings(pictures, std::vector<std::string>{"train.batch=12"});
  const std::pair<train::Config, data::Dataset> trainings[] = {{vectors, data::open_source("ring8")},
                                                               {pictures, images(8)}};
  for (const auto& training : trainings) {
    const train::Config& config = training.first;
    const data::Dataset& dataset = training.second;
    for (const int count : {2, 3}) {
      train::Config of_parts = config;
      of_parts.train.parts = count;
      const auto expected = trained(of_parts, dataset, &stand_in_backend(), 6);
      ThreadRanks(count).run([&](Communicator& communicator) {
        const StandIn stand_in;
        const auto actual = trained(config, dataset, backend_of(stand_in, communicator).get(), 6, &communicator);
        for (const auto& [name, values] : expected)
          EXPECT_TRUE(actual.at(name) == values) << name << " of rank " << communicator.rank() << " of " << count;
        EXPECT_GT(stand_in.sums(), 0);
        EXPECT_GT(stand_in.sums_in_graphs(), 0);
      });
    }
  }
}

/// A rank whose GPU works while its host waits for other ranks.
class WorkingRank : public Communicator {
 public:
  WorkingRank(Communicator& rank, const StandIn& stand_in) : rank_(rank), stand_in_(stand_in) {}
  int rank() const override { return rank_.rank(); }
  int ranks() const override { return rank_.ranks(); }
  int ranks_here() const override { return rank_.ranks_here(); }
  int rank_here() const override { return rank_.rank_here(); }
  void all_reduce(std::span<float>) override { FAIL() << "sums are NCCL's"; }
  void broadcast(std::span<std::byte> bytes) override {
    stand_in_.work();
    rank_.broadcast(bytes);
  }
  std::vector<std::string> gather(std::string_view bytes) override {
    stand_in_.work();
    return rank_.gather(bytes);
  }
  void abort(int code) override { rank_.abort(code); }

 private:
  Communicator& rank_;
  const StandIn& stand_in_;
};

TEST(CudaRanks, ARunHasTheWeightsOfOneInParts) {
  const Folder folder;
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = small_vectors();
  train::apply_settings(config, std::vector<std::string>{"train.steps=9", "train.log_every=4", "train.threads=1",
                                                         "train.checkpoint_every=4", "watchdog.every=0"});
  const auto run = [&](const std::string& name, const runtime::Backend& backend, Communicator* communicator) {
    train::Config own = config;
    if (!communicator) own.train.parts = 2;
    train::RunOptions options;
    options.directory = folder / name;
    options.backend = &backend;
    options.communicator = communicator;
    train::train_run(own, dataset, options, {});
  };
  run("parts", stand_in_backend(), nullptr);
  ThreadRanks(2).run([&](Communicator& communicator) {
    const StandIn stand_in;
    WorkingRank rank(communicator, stand_in);
    run("ranks", *backend_of(stand_in, rank), &rank);
  });
  const train::Model parts = train::load_model(folder / "parts"), ranks = train::load_model(folder / "ranks");
  for (const auto& [name, array] : parts.weights)
    EXPECT_TRUE(std::ranges::equal(array.f32(), ranks.weights.at(name).f32())) << name;
}

TEST(CudaRanks, AddUpOnceForAllPartsOfARank) {
  const data::Dataset dataset = data::open_source("ring8");
  int sums[2] = {};
  for (const int parts : {1, 2}) {
    train::Config config = small_vectors();
    config.train.parts = parts;
    ThreadRanks(2).run([&](Communicator& communicator) {
      const StandIn stand_in;
      trained(config, dataset, backend_of(stand_in, communicator).get(), 3, &communicator);
      if (communicator.rank() == 0) sums[parts - 1] = stand_in.sums() + stand_in.sums_in_graphs();
    });
  }
  EXPECT_EQ(sums[0], 2 * 3) << "of G and of D, in each step";
  EXPECT_EQ(sums[1], sums[0]);
}

// Ranks must add up in the same order, also where branches of a graph do not depend on each other.
TEST(CudaRanks, AddUpOneSumAfterTheOther) {
  ThreadRanks(2).run([](Communicator& communicator) {
    const StandIn stand_in;
    runtime::cuda::Device device(stand_in.functions(), std::nullopt, "", communicator);
    const auto a = device.allocate(64), b = device.allocate(64);
    const runtime::cuda::Touched first = device.sum_task(a.get(), 16).touched;
    EXPECT_TRUE(device.sum_task(b.get(), 16).touched.depends_on(first));
    EXPECT_FALSE(device.copy_task(b.get(), b.get() + 32, 32).touched.depends_on(first));
  });
}

TEST(CudaRanksBadInput, NcclThatIsMissingIsNamed) {
  const data::Dataset dataset = data::open_source("ring8");
  const auto messages = messages_of<base::Error>(2, [&](Communicator& communicator) {
    const StandIn stand_in({.without_nccl = true});
    trained(small_vectors(), dataset, backend_of(stand_in, communicator).get(), 1, &communicator);
  });
  const std::string expected = "--device cuda: several processes need NCCL (libnccl.so.none)";
  EXPECT_EQ(messages, std::vector<std::string>(2, expected));
}

TEST(CudaRanksBadInput, TwoRanksOnOneGpuAreRefused) {
  const StandIn stand_in;
  std::mutex mutex;
  std::vector<std::unique_ptr<runtime::cuda::Device>> devices;
  std::vector<std::shared_ptr<std::byte>> memory;  // freed by one thread after the other
  const auto messages = messages_of<base::Error>(2, [&](Communicator& communicator) {
    runtime::cuda::Device* device = nullptr;
    std::byte* at = nullptr;
    {
      const std::lock_guard lock(mutex);
      device = devices.emplace_back(new runtime::cuda::Device(stand_in.functions(), 0, "", communicator)).get();
      at = memory.emplace_back(device->allocate(64)).get();
    }
    device->sum_task(at, 16);
  });
  for (const int rank : {0, 1})
    EXPECT_EQ(messages[static_cast<std::size_t>(rank)],
              fmt::format("NCCL on rank {}: ncclCommInitRank: invalid usage (Duplicate GPU detected)", rank));
}

TEST(CudaRanksBadInput, ARankThatFailsEndsTheOthers) {
  const data::Dataset dataset = data::open_source("ring8");
  train::Config config = small_vectors();
  config.train.batch = 24;
  const auto messages = messages_of<base::Error>(3, [&](Communicator& communicator) {
    const StandIn stand_in;
    const auto backend = backend_of(stand_in, communicator);
    train::Stepper stepper(config, dataset, nullptr, {.backend = backend.get(), .communicator = &communicator});
    for (std::int64_t step = 0; step < 8; ++step) {
      if (communicator.rank() == 1 && step == 3) base::fail_run("it breaks");
      stepper.run(step, /*norms=*/false);
      stepper.scalar("loss.d");
    }
  });
  EXPECT_EQ(messages[0], "NCCL on rank 0: all_reduce: remote process exited or there was a network error");
  EXPECT_EQ(messages[1], "it breaks");
  EXPECT_EQ(messages[2], "NCCL on rank 2: all_reduce: remote process exited or there was a network error");
}

// The stand-in cannot show that the functions have these names in NVIDIA's library.
TEST(CudaRanks, NcclHasTheFunctionsThatAreCalled) {
  try {
    const runtime::cuda::NcclFunctions& nccl = runtime::cuda::load_nccl();
    EXPECT_STREQ(nccl.ncclGetErrorString(ncclSuccess), "no error");
  } catch (const base::Error& error) {
    if (std::string(error.what()).find("too old") != std::string::npos) throw;
    GTEST_SKIP() << error.what();
  }
}

/// Sums `count` floats, or those of its own rank, at a place in an allocation of 8.
std::vector<std::string> refusals_of_sums(const std::function<std::size_t(int)>& count, bool on_host = false) {
  return messages_of<std::logic_error>(2, [&](Communicator& communicator) {
    const StandIn stand_in;
    runtime::cuda::Device device(stand_in.functions(), std::nullopt, "", communicator);
    const auto memory = device.allocate(32);
    std::vector<float> values(8, static_cast<float>(communicator.rank() + 1));
    device.write(values.data(), memory.get(), 32);
    std::byte* const at = on_host ? reinterpret_cast<std::byte*>(values.data()) : memory.get();
    device.sum_task(at, count(communicator.rank())).run();
    device.read(memory.get(), values.data(), 32);
    EXPECT_EQ(values[0], 3);
    EXPECT_EQ(values[7], 3);
  });
}

TEST(StandIn, FindsSumsOverRanksThatDoNotFit) {
  EXPECT_EQ(refusals_of_sums([](int) { return 8; }), std::vector<std::string>(2));
  for (const auto& [refusals, part] :
       {std::pair(refusals_of_sums([](int rank) { return 8 - static_cast<std::size_t>(rank); }), "of other sizes"),
        std::pair(refusals_of_sums([](int) { return 9; }), "behind the end"),
        std::pair(refusals_of_sums([](int) { return 8; }, /*on_host=*/true), "allocat")})
    for (const std::string& refusal : refusals) EXPECT_NE(refusal.find(part), std::string::npos) << refusal;
}

#endif

// ---- what the stand-in finds ----

/// Runs a kernel of this body on `a` and `r`, tensors of 8 floats; `shift` bytes are added to the address of a.
void run_kernel(const std::string& body, std::size_t shift = 0, bool written = true) {
  const StandIn stand_in;
  runtime::cuda::Device device(stand_in.functions(), 0, stand_in_cache());
  const auto a = device.allocate(64), r = device.allocate(64);
  CUdeviceptr fresh = 0;
  if (!written) stand_in.functions().cuMemAlloc(&fresh, 64);
  SourceKernel kernel;
  kernel.name = "probe" + std::to_string(std::hash<std::string>()(body));
  kernel.text = "KERNEL(32) " + kernel.name + "(IN(float, 8, a), OUT(float, 8, r)) {\n" + body + "\n}\nEXPORT(" +
                kernel.name + ")\n";
  kernel.threads = 32;
  const auto address = [](const auto& at) { return reinterpret_cast<runtime::cuda::Address>(at.get()); };
  kernel.arguments = {(written ? address(a) : fresh) + shift, address(r)};
  device.load({kernel});
  device.task(kernel).run();
  device.wait();
}

TEST(StandIn, FindsWhatKernelsMayNotDo) {
  const auto refusal = [](const std::string& body, std::size_t shift = 0, bool written = true) -> std::string {
    try {
      run_kernel(body, shift, written);
    } catch (const std::logic_error& error) {
      return error.what();
    }
    return "";
  };
  const auto contains = [](const std::string& text, const char* part) { return text.find(part) != std::string::npos; };
  const std::string good = "THREADS { if (threadIdx.x < 8) store(r, threadIdx.x, fetch<float>(a, threadIdx.x)); }";
  EXPECT_EQ(refusal(good), "");
  EXPECT_TRUE(contains(refusal("THREADS { store(r, threadIdx.x, 1.0f); }"), "outside of its tensor"));
  EXPECT_TRUE(contains(refusal("THREADS { fetch<float>(a, (int)threadIdx.x - 1); }"), "outside of its tensor"));
  EXPECT_TRUE(contains(refusal("THREADS { fetch<Four<float>>(a, 5); }"), "outside of its tensor"));
  EXPECT_TRUE(contains(refusal("THREADS { fetch<Four<float>>(a, 1); }"), "not aligned"));
  EXPECT_TRUE(contains(refusal(good, 4 * 3 + 2), "not aligned"));
  EXPECT_TRUE(contains(refusal(good, 0, false), "nobody wrote"));
}

TEST(StandIn, FindsACopyBeyondAnAllocation) {
  const StandIn stand_in;
  runtime::cuda::Device device(stand_in.functions(), 0, "");
  const auto memory = device.allocate(100);
  std::vector<char> host(200);
  EXPECT_THROW(device.read(memory.get(), host.data(), 101), std::logic_error);
  EXPECT_THROW(device.write(host.data(), memory.get() + 50, 51), std::logic_error);
  EXPECT_NO_THROW(device.read(memory.get() + 50, host.data(), 50));
}

// Reads and writes in the order of the stream, also where more is written than the pinned buffers hold.
TEST(CudaMemory, WhatIsWrittenIsRead) {
  runtime::Memory& memory = stand_in_backend().memory();
  std::vector<std::uint32_t> values(9'000'001);
  for (std::size_t i = 0; i < values.size(); ++i) values[i] = static_cast<std::uint32_t>(i * 2654435761u);
  const runtime::Buffer buffer(4 * values.size(), memory);
  std::vector<std::uint32_t> read(values.size(), 1);
  memory.read(buffer.data(), read.data(), buffer.size());
  EXPECT_EQ(read, std::vector<std::uint32_t>(values.size(), 0)) << "memory begins as zeros";
  memory.write(values.data(), buffer.data(), buffer.size());
  const std::uint32_t first = values[0] = 7;  // the copy is on its way already
  memory.read(buffer.data(), read.data(), buffer.size());
  EXPECT_EQ(read[0], 0u) << first;
  values[0] = 0;
  EXPECT_EQ(read, values);
}

}  // namespace
}  // namespace gan::test
