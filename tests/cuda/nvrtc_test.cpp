// NVRTC needs no GPU: every kernel that the op suite and the steps of all presets generate is compiled, so that a GPU's
// time is never spent on an error of syntax.
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "compiler/compile.h"
#include "cuda/stand_in.h"
#include "op_suite/build.h"
#include "runtime/cuda/backend.h"
#include "runtime/cuda/source.h"
#include "train/preset.h"
#include "train/step.h"
#include "train/stepper.h"

namespace gan::test {
namespace {

/// Kernels by their names.
using Kernels = std::map<std::string, std::string>;

/// Adds the kernels of sources that were collected.
void add_kernels(Kernels& kernels, const std::vector<std::string>& sources) {
  const std::string begin = "KERNEL(", end = "EXPORT(";
  for (const std::string& source : sources)
    for (std::size_t at = runtime::cuda::prelude().size(); (at = source.find(begin, at)) != std::string::npos;) {
      const std::size_t last = source.find(end, at), name = last + end.size(), close = source.find(")", name);
      kernels[source.substr(name, close - name)] = source.substr(at, close + 2 - at);
      at = close;
    }
}

/// Compiles graphs for a GPU that collects sources. Each graph has a state of its own.
class Collector {
 public:
  Collector() : stand_in_({.capability = 90, .memory = std::size_t{64} << 30}) {
    stand_in_.only_collect();
    backend_ = runtime::cuda::make_backend(stand_in_.functions(), 0, "");
  }
  void add(graph::Graph& graph, compiler::Options options) {
    options.backend = backend_.get();
    runtime::State state;
    runtime::Arena arena;
    compiler::compile(graph, options, state, arena);
  }
  Kernels kernels() const {
    Kernels kernels;
    add_kernels(kernels, stand_in_.sources());
    return kernels;
  }

 private:
  StandIn stand_in_;
  std::shared_ptr<runtime::Backend> backend_;
};

Kernels kernels_of_ops() {
  Collector collector;
  for (const OpCase& test : op_cases())
    for (const auto& disabled : {std::set<std::string>{}, std::set<std::string>{"all"}})
      for (const auto precision : {compiler::Precision::f32, compiler::Precision::bf16}) {
        Built built;
        build(test, built);
        add_outputs(test, built);
        collector.add(built.graph, {.precision = precision, .disabled = disabled});
      }
  return collector.kernels();
}

Kernels kernels_of_presets() {
  Collector collector;
  for (const train::EmbeddedPreset& preset : train::embedded_presets()) {
    const train::Config config = train::load_preset(std::string(preset.name));
    const bool vectors = preset.name == train::default_preset({2});
    const models::ModelSpec spec = train::model_spec(config, vectors ? graph::Shape{2} : graph::Shape{1, 28, 28},
                                                     train::condition_of(config, data::label_condition(10)));
    for (const auto precision : {compiler::Precision::f32, compiler::Precision::bf16})
      for (std::int64_t step = 0; step < train::variant_period(config); ++step)
        for (const bool norms : {false, true}) {
          graph::Graph graph;
          train::build_step(graph, config, spec,
                            {.batch = config.train.batch,
                             .variant = train::variant_of_step(config, step),
                             .gradient_norms = norms,
                             .data_rows = 60'000,
                             .queue = 1'024});
          collector.add(graph, {.precision = precision});
        }
    graph::Graph graph;
    train::build_sampler(graph, config, spec, 64);
    collector.add(graph, {});
  }
  return collector.kernels();
}

class Nvrtc : public testing::TestWithParam<int> {};

/// Compiles kernels for the capability of the test, some hundred together, and prints registers and spills.
void compile_all(const Kernels& kernels, int capability) {
  runtime::cuda::Functions functions;
  try {
    runtime::cuda::load_nvrtc(functions);
  } catch (const base::Error& error) {
    GTEST_SKIP() << error.what();
  }
  constexpr std::size_t kTogether = 200;
  std::string source(runtime::cuda::prelude()), log;
  std::size_t count = 0, rest = kernels.size();
  for (const auto& [name, text] : kernels) {
    source += text;
    ++count;
    if (--rest > 0 && count < kTogether) continue;
    const runtime::cuda::Binary binary = runtime::cuda::compile(functions, source, capability, "--ptxas-options=-v");
    EXPECT_GT(binary.image.size(), 1000u);
    log += binary.log;
    source = runtime::cuda::prelude();
    count = 0;
  }
  int most_registers = 0;
  for (std::size_t at = 0; (at = log.find("Used ", at)) != std::string::npos; ++at)
    most_registers = std::max(most_registers, std::atoi(log.c_str() + at + 5));
  long spilled = 0;
  for (std::size_t at = 0; (at = log.find(" bytes spill stores", at)) != std::string::npos; ++at)
    spilled += std::atol(log.c_str() + log.rfind(' ', at - 1));
  std::printf("sm_%d: %zu kernels, at most %d registers, %ld bytes spilled\n", capability, kernels.size(),
              most_registers, spilled);
  EXPECT_LT(spilled, 100) << "registers of a kernel no longer suffice";
}

TEST_P(Nvrtc, CompilesTheKernelsOfTheOpSuite) {
  const Kernels kernels = kernels_of_ops();
  EXPECT_GT(kernels.size(), 300u);
  compile_all(kernels, GetParam());
}

TEST_P(Nvrtc, CompilesTheKernelsOfAllPresets) {
  const Kernels kernels = kernels_of_presets();
  EXPECT_GT(kernels.size(), 200u);
  compile_all(kernels, GetParam());
}

INSTANTIATE_TEST_SUITE_P(Capability, Nvrtc, testing::Values(75, 90),
                         [](const auto& info) { return "sm_" + std::to_string(info.param); });

TEST(NvrtcBadInput, AnErrorIsTheFirstLineOfTheLog) {
  runtime::cuda::Functions functions;
  try {
    runtime::cuda::load_nvrtc(functions);
  } catch (const base::Error& error) {
    GTEST_SKIP() << error.what();
  }
  try {
    runtime::cuda::compile(functions, "extern \"C\" __global__ void k() { int x = ; }", 80);
    FAIL() << "it was compiled";
  } catch (const base::Error& error) {
    const std::string text = error.what();
    EXPECT_NE(text.find("NVRTC does not compile the kernels of this program for sm_80: gan.cu(1)"), std::string::npos)
        << text;
    EXPECT_EQ(text.find('\n'), std::string::npos);
  }
  // A GPU that is newer than NVRTC gets PTX of the newest architecture that it knows.
  EXPECT_NE(runtime::cuda::compile(functions, "extern \"C\" __global__ void k() {}", 999).image.find(".version"),
            std::string::npos)
      << "no PTX";
}

}  // namespace
}  // namespace gan::test
