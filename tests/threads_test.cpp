// Fewer threads than were asked for: OpenMP's variables and callers may withhold them, and nothing may depend on
// getting all.
#include <fmt/core.h>
#include <gtest/gtest.h>
#include <omp.h>
#include <pthread.h>
#include <sys/time.h>

#include <atomic>
#include <csignal>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/error.h"
#include "base/parallel.h"
#include "compiler/compile.h"
#include "graph_helpers.h"
#include "program.h"
#include "train/preset.h"
#include "train/sampler.h"
#include "untrained_model.h"

namespace gan::test {
namespace {

/// What a model draws for 64 samples of a seed.
std::vector<float> draw(train::Sampler& sampler, const train::Model& model, std::int64_t count = 64) {
  std::vector<float> z(static_cast<std::size_t>(count * model.config.model.latent));
  std::vector<std::int32_t> labels(static_cast<std::size_t>(count), 3);
  std::vector<float> out(static_cast<std::size_t>(count * graph::element_count(model.sample_shape)));
  sampler.latents(1, 0, z);
  sampler.sample(z, labels, out);
  return out;
}

void expect_close(const std::vector<float>& got, const std::vector<float>& expected, const char* what) {
  ASSERT_EQ(got.size(), expected.size());
  float largest = 0;
  for (std::size_t i = 0; i < got.size(); ++i) largest = std::max(largest, std::abs(got[i] - expected[i]));
  EXPECT_LT(largest, 1e-5f) << what;
}

TEST(Threads, AreCountedAsTheyCanBeStarted) {
  base::set_threads(3);
  EXPECT_EQ(base::threads(), 3);
  EXPECT_EQ(base::ScopedThreads(2).count(), 2);
  const int levels = omp_get_max_active_levels();
  omp_set_max_active_levels(0);
  EXPECT_EQ(base::threads(), 1);
  omp_set_max_active_levels(levels);
  int inside[2] = {}, parts[2] = {};
#pragma omp parallel num_threads(2)
  {
    const int me = omp_get_thread_num();
    inside[me] = base::threads();
    base::parallel_for(100, 1, [&](std::int64_t begin, std::int64_t end) {
      if (begin == 0 && end == 100) parts[me] = 1;
    });
  }
  for (const int me : {0, 1}) {
    EXPECT_EQ(inside[me], 1) << me;
    EXPECT_EQ(parts[me], 1) << me;
  }
  base::set_threads(0);
  EXPECT_EQ(base::threads(), base::processors());
}

TEST(Threads, DynamicAdjustmentByTheCallerChangesNothing) {
  const train::Model model = untrained_model("conv");
  base::set_threads(2);
  train::Sampler sampler(model, "f32");
  const std::vector<float> expected = draw(sampler, model);
  omp_set_dynamic(1);
  train::Sampler second(model, "f32");
  EXPECT_EQ(draw(second, model), expected);
  EXPECT_EQ(draw(sampler, model), expected);
  EXPECT_EQ(omp_get_dynamic(), 1) << "the caller's setting stays";
  omp_set_dynamic(0);
  base::set_threads(0);
}

TEST(Threads, SamplersWorkInsideOtherParallelRegions) {
  for (const char* preset : {"lsgan-r1r2", "conv"}) {
    const train::Model model = untrained_model(preset);
    base::set_threads(2);
    train::Sampler outside(model, "f32");
    const std::vector<float> expected = draw(outside, model);
    train::Sampler before(model, "f32");
    draw(before, model, 32);
    std::vector<float> drawn[2];
#pragma omp parallel num_threads(2)
    {
      const int me = omp_get_thread_num();
      train::Sampler own(model, "f32");
      drawn[me] = draw(me == 0 ? own : before, model);
    }
    for (const std::vector<float>& values : drawn) expect_close(values, expected, preset);
    // A program that was compiled for two threads, in a place that has one.
    std::vector<float> again;
#pragma omp parallel num_threads(2)
#pragma omp master
    again = draw(outside, model);
    expect_close(again, expected, preset);
  }
  base::set_threads(0);
}

std::uintptr_t stack_begin, stack_end;
std::atomic<int> on_stack, elsewhere;

/// Counts where its own variables lie.
void note_stack(int) {
  const int here = 0;
  const auto address = reinterpret_cast<std::uintptr_t>(&here);
  ++(address >= stack_begin && address < stack_end ? on_stack : elsewhere);
}

/// Products of oneDNN may use the stack register for other memory, which a signal handler would overwrite.
TEST(Threads, SignalHandlersRunOnTheStack) {
  pthread_attr_t attributes;
  void* begin = nullptr;
  std::size_t size = 0;
  ASSERT_EQ(pthread_getattr_np(pthread_self(), &attributes), 0);
  pthread_attr_getstack(&attributes, &begin, &size);
  pthread_attr_destroy(&attributes);
  stack_begin = reinterpret_cast<std::uintptr_t>(begin);
  stack_end = stack_begin + size;
  base::set_threads(2);
  graph::Graph g;
  runtime::State state;
  runtime::Arena arena;
  for (const std::int64_t k : {512, 9000}) {
    const std::string a = fmt::format("a{}", k), b = fmt::format("b{}", k);
    g.output("y" + a, matmul(input(g, a.c_str(), {48, k}), input(g, b.c_str(), {k, 512})));
    state[a] = runtime::Array({DType::f32, {48, k}});
    state[b] = runtime::Array({DType::f32, {k, 512}});
  }
  runtime::Program program =
      compiler::compile(g, {.precision = compiler::Precision::f32, .disabled = {}}, state, arena);
  struct sigaction action {
  }, before{};
  action.sa_handler = note_stack;
  sigaction(SIGALRM, &action, &before);
  const itimerval often = {{0, 50}, {0, 50}}, never = {};
  on_stack = elsewhere = 0;
  setitimer(ITIMER_REAL, &often, nullptr);
  for (int i = 0; i < 20; ++i) program.run();
  setitimer(ITIMER_REAL, &never, nullptr);
  sigaction(SIGALRM, &before, nullptr);
  base::set_threads(0);
  EXPECT_GT(on_stack, 0);
  EXPECT_EQ(elsewhere, 0);
}

TEST(Threads, SamplersOfOneModelWorkInManyThreads) {
  const train::Model model = untrained_model("lsgan-r1r2");
  train::Sampler one(model, "f32");
  const std::vector<float> expected = draw(one, model);
  std::vector<std::vector<float>> drawn(4);
  std::vector<std::thread> threads;
  for (std::vector<float>& values : drawn)
    threads.emplace_back([&] {
      train::Sampler sampler(model, "f32");
      for (const std::int64_t count : {1, 2, 7}) draw(sampler, model, count);
      values = draw(sampler, model);
    });
  for (std::thread& thread : threads) thread.join();
  for (const std::vector<float>& values : drawn) EXPECT_EQ(values, expected);
}

TEST(Threads, ProgramsRefuseToRunWithFewerThanTheyWereMadeFor) {
  base::set_threads(2);
  graph::Graph graph;
  runtime::State state;
  runtime::Arena arena;
  const train::Model model = untrained_model("lsgan-r1r2");
  const models::ModelSpec spec = train::model_spec(model.config, model.sample_shape, model.condition);
  for (const nn::Variable& variable : train::build_sampler(graph, model.config, spec, 64))
    state[variable.name] = model.weights.at(variable.name).share();
  const runtime::Program program =
      compiler::compile(graph, {.precision = compiler::Precision::f32, .disabled = {}}, state, arena);
  EXPECT_TRUE(program.can_run_here());
  program.run();
  bool refused = false;
#pragma omp parallel num_threads(2)
#pragma omp master
  try {
    program.run();
  } catch (const base::Error& error) {
    refused = std::string(error.what()).find("for 2 threads") != std::string::npos;
  }
  EXPECT_TRUE(refused);
  base::set_threads(0);
}

// ---- the program ----

/// Trains, draws and judges in `environment`; what comes out, without what measures time.
struct Outcome {
  std::string model, samples;
  nlohmann::json scores;
};

Outcome outcome_of(const Folder& folder, const std::string& name, const std::string& preset, const std::string& threads,
                   const Environment& environment, const std::string& note) {
  Outcome outcome;
  const std::string run_folder = folder / name;
  const auto done = [&](const Args& args) {
    const Result result = run(folder, args, environment);
    EXPECT_EQ(result.code, 0) << name << ": " << joined(args) << "\n" << result.err;
    EXPECT_EQ(result.err.find("note: --threads") != std::string::npos, !note.empty()) << result.err;
    EXPECT_NE(result.err.find(note), std::string::npos) << result.err;
    return result.out;
  };
  done({"train", preset, "--data", source(folder), "--out", run_folder, "--steps", "3", "--batch", "32", "--threads",
        threads, "--precision", "f32"});
  done({"sample", run_folder, "--label", "1", "--count", "256", "--out", run_folder + "/x.npy", "--threads", threads});
  outcome.model = get(run_folder + "/model.safetensors");
  outcome.samples = get(run_folder + "/x.npy");
  const std::string scores = done({"eval", run_folder, "--data", source(folder), "--count", "300", "--json",
                                   "--threads", threads, "--cache", folder / ("cache-" + name)});
  outcome.scores = nlohmann::json::parse(scores, nullptr, false);
  for (const char* varying : {"seconds", "model"}) outcome.scores.erase(varying);
  return outcome;
}

TEST(CliThreads, WhatOpenMPWithholdsIsNotMissed) {
  const Folder folder;
  write_data(folder);
  const struct {
    Environment environment;
    std::string asked, got, note;
  } cases[] = {{{{"OMP_THREAD_LIMIT", "1"}}, "2", "1", "--threads 2: OpenMP starts 1"},
               {{{"OMP_MAX_ACTIVE_LEVELS", "0"}}, "2", "1", "--threads 2: OpenMP starts 1"},
               {{{"OMP_THREAD_LIMIT", "3"}}, "4", "3", "--threads 4: OpenMP starts 3"},
               {{{"OMP_DYNAMIC", "true"}}, "2", "2", ""}};
  for (const std::string preset : {"lsgan-r1r2", "conv"}) {
    std::map<std::string, Outcome> expected;
    int number = 0;
    for (const auto& [environment, asked, got, note] : cases) {
      if (!expected.count(got)) expected[got] = outcome_of(folder, preset + got, preset, got, {}, "");
      const std::string name = preset + "-" + std::to_string(number++);
      const Outcome outcome = outcome_of(folder, name, preset, asked, environment, note);
      EXPECT_TRUE(outcome.model == expected[got].model) << name;
      EXPECT_TRUE(outcome.samples == expected[got].samples) << name;
      EXPECT_EQ(outcome.scores, expected[got].scores) << name;
    }
  }
}

TEST(CliThreads, InfoSaysWhatCanBeStarted) {
  const Folder folder;
  if (base::processors() < 2) GTEST_SKIP() << "one processor: no variable can withhold a thread";
  EXPECT_NE(run(folder, {"info"}, {{"OMP_THREAD_LIMIT", "1"}}).out.find("1 of "), std::string::npos);
  EXPECT_EQ(run(folder, {"info"}).out.find("OMP_THREAD_LIMIT"), std::string::npos);
}

}  // namespace
}  // namespace gan::test
