#include "runtime/backend.h"

#include <gtest/gtest.h>

#include <map>
#include <set>

#include "base/error.h"
#include "compare.h"
#include "compiler/compile.h"
#include "data/source.h"
#include "ops/ops.h"
#include "train/preset.h"
#include "train/stepper.h"
#include "walled_backend.h"

// The duties of every backend, on the processor and on one whose memory the host cannot reach. The op suite and the
// golden tests run on all of them, too.
namespace gan::test {
namespace {

class Backends : public testing::TestWithParam<const char*> {};

TEST_P(Backends, TenTrainingStepsAreTheSame) {
  if (std::string(GetParam()) == "bf16" && !runtime::default_backend().has_bf16())
    GTEST_SKIP() << "this processor does not multiply bf16";
  train::Config config = train::load_preset("vector");
  const std::vector<std::string> settings{"train.batch=32", "model.g.widths=[16,16]", "model.d.widths=[16,16]",
                                          "train.precision=" + std::string(GetParam())};
  train::apply_settings(config, settings);
  const data::Dataset dataset = data::open_source("ring8");
  std::vector<std::map<std::string, runtime::Array>> results;
  for (const runtime::Backend* backend : all_backends()) {
    train::Stepper stepper(config, dataset, nullptr, {.backend = backend});
    for (std::int64_t step = 0; step < 10; ++step) stepper.run(step, /*norms=*/step == 9);
    auto& arrays = results.emplace_back();
    for (const nn::Variable& variable : stepper.variables())
      arrays[variable.name] = stepper.state().at(variable.name).on_host();
    for (const char* name : {"loss.g", "loss.d", "norm.g", "norm.d"}) arrays[name] = stepper.state().at(name).on_host();
  }
  for (std::size_t other = 1; other < results.size(); ++other)
    for (const auto& [name, array] : results[0])
      EXPECT_LE(relative_error(results[other].at(name).f32(), array.f32(), 1e-6), 1e-3) << name;
}

INSTANTIATE_TEST_SUITE_P(Precision, Backends, testing::Values("f32", "bf16"),
                         [](const auto& info) { return std::string(info.param); });

TEST(BackendMemory, AnArrayInADevicesMemoryIsReadThroughIt) {
  const runtime::Array host({3}, std::vector<float>{1, 2, 3});
  runtime::Array there = host.in(walled_backend().memory());
  EXPECT_THROW(there.f32(), base::Error);
  EXPECT_EQ(there.on_host().f32()[2], 3);
  runtime::Writing(there).f32()[2] = 5;
  EXPECT_EQ(there.on_host().f32()[2], 5);
  EXPECT_EQ(host.f32()[2], 3);
  EXPECT_EQ(host.on_host().bytes(), host.bytes()) << "host memory is shared, not copied";
}

TEST(BackendMemory, AStateMovesToTheMemoryOfTheProgramThatUsesIt) {
  graph::Graph graph;
  const graph::Tensor x = graph.input("x", {graph::DType::f32, {3}});
  graph.output("x", ops::mul(x, x));
  runtime::State state;
  state["x"] = runtime::Array({3}, std::vector<float>{1, 2, 3});
  runtime::Arena arena;
  compiler::Options options;
  options.backend = &walled_backend();
  const runtime::Program program = compiler::compile(graph, options, state, arena);
  program.run();
  EXPECT_EQ(&state.at("x").memory(), &walled_backend().memory());
  EXPECT_EQ(state.at("x").on_host().f32()[2], 9);
}

TEST(BackendParts, PartsThatCanBeDisabledHaveNamesOfTheirOwn) {
  std::set<std::string> names;
  for (const std::string& pass : compiler::pass_names()) names.insert(pass);
  for (const runtime::BackendPart& part : runtime::backend_parts()) {
    EXPECT_FALSE(part.summary.empty()) << part.name;
    EXPECT_TRUE(names.insert(part.name).second || part.name == "machine-code") << part.name;
  }
}

}  // namespace
}  // namespace gan::test
