#include "runtime/program.h"

#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/parallel.h"
#include "compiler/compile.h"
#include "graph_helpers.h"
#include "runtime/memory_plan.h"

// Memory and programs.
namespace gan::test {
namespace {

TEST(MemoryPlan, NothingAliveAtTheSameTimeOverlaps) {
  const base::RandomStream random(3, 0);
  std::vector<runtime::Lifetime> lifetimes;
  std::size_t total = 0;
  for (std::uint64_t i = 0; i < 300; ++i) {
    const int first = static_cast<int>(random.below(100, 3 * i));
    lifetimes.push_back(
        {random.below(5000, 3 * i + 1) + 1, first, first + static_cast<int>(random.below(20, 3 * i + 2))});
    total += lifetimes.back().bytes;
  }
  const runtime::MemoryPlan plan = runtime::plan_memory(lifetimes);
  for (std::size_t a = 0; a < lifetimes.size(); ++a) {
    EXPECT_EQ(plan.offsets[a] % 64, 0u);
    EXPECT_LE(plan.offsets[a] + lifetimes[a].bytes, plan.bytes);
    for (std::size_t b = 0; b < a; ++b) {
      const bool together = lifetimes[a].first <= lifetimes[b].last && lifetimes[b].first <= lifetimes[a].last;
      const bool apart = plan.offsets[a] + lifetimes[a].bytes <= plan.offsets[b] ||
                         plan.offsets[b] + lifetimes[b].bytes <= plan.offsets[a];
      EXPECT_TRUE(!together || apart) << a << " and " << b;
    }
  }
  EXPECT_LT(plan.bytes, total / 3);  // memory is used again
}

TEST(Program, CountsDenormalNumbersAsZero) {
  for (const bool optimized : {true, false}) {
    Graph g;
    const Tensor moment = input(g, "moment", {3});
    g.output("moment", moment * 0.5);
    runtime::State state;
    state["moment"] = runtime::Array({3}, std::vector<float>{1.5e-38f, 1e-40f, 1.0f});
    runtime::Arena arena;
    compiler::Options options;
    if (!optimized) options.disabled = {"all"};
    compiler::compile(g, options, state, arena).run();
    const auto values = state.at("moment").f32();
    EXPECT_EQ(std::vector<float>(values.begin(), values.end()), (std::vector<float>{0.0f, 0.0f, 0.5f}));
  }
}

TEST(Program, StateIsUpdatedInPlaceOnlyWhereThatIsSafe) {
  for (const bool fused : {true, false}) {
    Graph g;
    const Tensor a = input(g, "a", {5}), b = input(g, "b", {5}), w = input(g, "w", {5, 5});
    g.output("a", a + b);
    g.output("b", a * 2.0);  // reads the old a
    g.output("old", a);      // the old a under another name
    g.output("w", w + permute(w, {1, 0}));
    runtime::State state;
    for (const char* name : {"a", "b"}) state[name] = runtime::Array(TensorType{DType::f32, {5}});
    state["w"] = runtime::Array(TensorType{DType::f32, {5, 5}});
    for (std::size_t i = 0; i < 5; ++i) {
      state["a"].f32()[i] = static_cast<float>(i);
      state["b"].f32()[i] = 10;
    }
    for (std::size_t i = 0; i < 25; ++i) state["w"].f32()[i] = static_cast<float>(i);
    runtime::Arena arena;
    compiler::Options options;
    if (!fused) options.disabled = {"all"};
    const runtime::Program program = compiler::compile(g, options, state, arena);
    program.run();
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_EQ(state["a"].f32()[i], static_cast<float>(i) + 10);
      EXPECT_EQ(state["b"].f32()[i], static_cast<float>(2 * i));
      EXPECT_EQ(state["old"].f32()[i], static_cast<float>(i));
    }
    for (std::size_t i = 0; i < 5; ++i)
      for (std::size_t j = 0; j < 5; ++j)
        EXPECT_EQ(state["w"].f32()[i * 5 + j], static_cast<float>((i * 5 + j) + (j * 5 + i)));
  }
}

TEST(Program, SlicesOfRowsAreReadWhereTheyLie) {
  for (const bool fused : {true, false}) {
    Graph g;
    const Tensor x = input(g, "x", {6, 4}), y = exp(x), rows = slice(y, 0, 2, 3);
    g.output("rows", rows);
    g.output("inner", slice(rows, 0, 1, 2) * 2.0);
    g.output("given", slice(x, 0, 4, 2));                              // the old x
    g.output("columns", slice(y, 1, 1, 2));                            // no view
    g.output("x", concat({slice(x, 0, 3, 3), slice(x, 0, 0, 3)}, 0));  // the halves of x change places
    runtime::State state;
    runtime::Arena arena;
    compiler::Options options;
    if (!fused) options.disabled = {"all"};
    const runtime::Program program = compiler::compile(g, options, state, arena);
    for (const runtime::Kernel& kernel : program.kernels())
      if (kernel.name == "slice") {
        EXPECT_EQ(kernel.shape, "f32[6, 4]");
      }
    const auto old = [](std::size_t i) { return static_cast<float>(i) / 10; };
    for (std::size_t i = 0; i < 24; ++i) state["x"].f32()[i] = old(i);
    program.run();
    for (std::size_t i = 0; i < 12; ++i) EXPECT_NEAR(state["rows"].f32()[i], std::exp(old(8 + i)), 1e-5);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_NEAR(state["inner"].f32()[i], 2 * std::exp(old(12 + i)), 1e-5);
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(state["given"].f32()[i], old(16 + i));
    for (std::size_t i = 0; i < 12; ++i)
      EXPECT_NEAR(state["columns"].f32()[i], std::exp(old(i / 2 * 4 + 1 + i % 2)), 1e-5);
    for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(state["x"].f32()[i], old((i + 12) % 24));
    EXPECT_EQ(std::ranges::count(program.kernels(), "slice", &runtime::Kernel::name), 1);
  }
}

TEST(Program, RefusesStateOfAnotherType) {
  Graph g;
  g.output("y", square(input(g, "x", {5})));
  runtime::State state;
  state["x"] = runtime::Array(TensorType{DType::f32, {4}});
  runtime::Arena arena;
  EXPECT_THROW(compiler::compile(g, {}, state, arena), base::Error);
}

TEST(Program, SumsDoNotDependOnThreads) {
  Graph g;
  const Tensor x = input(g, "x", {300, 1000});
  g.output("all", sum(x));
  g.output("rows", sum_to(x, {1000}));
  g.output("chain", exp(x * 0.1) + 1.0);
  runtime::State state;
  runtime::Arena arena;
  const runtime::Program program = compiler::compile(g, {}, state, arena);
  const base::RandomStream random(5, 0);
  for (std::size_t i = 0; i < 300000; ++i) state.at("x").f32()[i] = random.normal(i);
  const int before = base::threads();
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    base::set_threads(threads);
    program.run();
    results.emplace_back();
    for (const char* name : {"all", "rows", "chain"})
      results.back().insert(results.back().end(), state.at(name).f32().begin(), state.at(name).f32().end());
  }
  base::set_threads(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Array, SharesItsElementsAndKeepsThemAlive) {
  auto first = std::make_unique<runtime::Array>(Shape{3}, std::vector<float>{1, 2, 3});
  const runtime::Array second = first->share();
  first->f32()[1] = 5;
  first.reset();
  EXPECT_EQ(second.type().shape, (Shape{3}));
  EXPECT_EQ((std::vector<float>(second.f32().begin(), second.f32().end())), (std::vector<float>{1, 5, 3}));
}

/// y = relu(x W^T / (u W v) + b), what a layer of a sampler computes; `rows` of x.
void add_layer(Graph& g, std::int64_t rows) {
  const Tensor x = input(g, "x", {rows, 40}), w = input(g, "w", {30, 40}), b = input(g, "b", {30});
  const Tensor u = input(g, "u", {1, 30}), v = input(g, "v", {1, 40});
  const Tensor factor = 1.0 / sum_to(u * matmul(v, w, false, true), {1, 1});
  g.output("y", relu(matmul(x, w, false, true) * factor + b * 2.0));
  g.output("factor", factor);
}

runtime::State layer_state() {
  runtime::State state;
  std::uint32_t stream = 0;
  for (const auto& [name, shape] :
       {std::pair<const char*, Shape>{"w", {30, 40}}, {"b", {30}}, {"u", {1, 30}}, {"v", {1, 40}}}) {
    state[name] = runtime::Array(TensorType{DType::f32, shape});
    const base::RandomStream random(9, ++stream);
    for (std::size_t i = 0; i < state[name].f32().size(); ++i) state[name].f32()[i] = random.normal(i);
  }
  return state;
}

TEST(FrozenInputs, WhatDependsOnThemAloneIsComputedOnceToTheSameBits) {
  const runtime::Frozen frozen{.inputs = {"w", "b", "u", "v"}};
  for (const std::set<std::string>& disabled : {std::set<std::string>{}, {"all"}})
    for (const std::int64_t rows : {1, 5}) {
      std::vector<std::vector<float>> results;
      std::vector<std::size_t> kernels;
      for (const bool freeze : {false, true}) {
        Graph g;
        add_layer(g, rows);
        runtime::State state = layer_state();
        runtime::Arena arena;
        const runtime::Program program =
            compiler::compile(g, {.disabled = disabled, .frozen = freeze ? frozen : runtime::Frozen{}}, state, arena);
        kernels.push_back(program.kernels().size());
        std::vector<float> seen;
        for (int run = 0; run < 2; ++run) {
          for (std::size_t i = 0; i < state.at("x").f32().size(); ++i)
            state.at("x").f32()[i] = static_cast<float>(i % 7) - 3 + static_cast<float>(run);
          // Between runs others may use the arena, and overwrite the outputs.
          std::fill_n(reinterpret_cast<float*>(arena.reserve(1, runtime::host_memory())), 1, 1e9f);
          state.at("factor").f32()[0] = 1e9f;
          program.run();
          for (const char* name : {"y", "factor"})
            seen.insert(seen.end(), state.at(name).f32().begin(), state.at(name).f32().end());
        }
        results.push_back(seen);
      }
      EXPECT_EQ(results[0], results[1]);
      EXPECT_LT(kernels[1], kernels[0]);
      if (disabled.empty()) {
        EXPECT_EQ(kernels[1], 2u);  // the layer, and the copy of the output "factor"
      }
    }
}

TEST(FrozenInputs, AreNotReadAgain) {
  Graph g;
  add_layer(g, 5);
  runtime::State state = layer_state();
  runtime::Arena arena;
  const runtime::Program program =
      compiler::compile(g, {.disabled = {}, .frozen = {.inputs = {"w", "b", "u", "v"}}}, state, arena);
  program.run();
  const float factor = state.at("factor").f32()[0];
  state.at("u").f32()[0] += 1;
  program.run();
  EXPECT_EQ(state.at("factor").f32()[0], factor);
}

TEST(FrozenInputsBadInput, MustBeThereAndStay) {
  const auto refused = [](const char* frozen, const std::function<void(Graph&, runtime::State&)>& change) {
    Graph g;
    add_layer(g, 2);
    runtime::State state = layer_state();
    change(g, state);
    runtime::Arena arena;
    try {
      compiler::compile(g, {.disabled = {}, .frozen = {.inputs = {frozen}}}, state, arena);
    } catch (const base::Error& error) {
      EXPECT_EQ(error.kind(), base::ErrorKind::usage);
      return std::string(error.what());
    }
    return std::string("accepted");
  };
  EXPECT_NE(refused("w", [](Graph&, runtime::State& s) { s.erase("w"); }).find("no value"), std::string::npos);
  EXPECT_NE(refused("q", [](Graph&, runtime::State&) {}).find("none of this name"), std::string::npos);
  EXPECT_NE(refused("b",
                    [](Graph& g, runtime::State&) {
                      g.output("b", Tensor{&g, g.inputs().at("b")} * 2.0);
                    })
                .find("next value"),
            std::string::npos);
  EXPECT_EQ(refused("w", [](Graph&, runtime::State&) {}), "accepted");
}

TEST(Kernels, LetNoNaNDisappear) {
  for (Tensor (*op)(Tensor) : {square, ops::sqrt, ops::exp, ops::expm1, ops::log, ops::tanh, sigmoid, softplus, relu}) {
    Graph g;
    g.output("y", op(input(g, "x", {20})));
    runtime::State state;
    runtime::Arena arena;
    const runtime::Program program = compiler::compile(g, {}, state, arena);
    for (float& x : state.at("x").f32()) x = std::numeric_limits<float>::quiet_NaN();
    program.run();
    for (float y : state.at("y").f32()) EXPECT_TRUE(std::isnan(y)) << g.dump();
  }
}

TEST(Kernels, KeepConstantsApartByTheirBits) {
  Graph graph;
  const Tensor x = input(graph, "x", {300});
  const Tensor positive = constant(graph, 0.0), negative = constant(graph, -0.0);
  graph.output("nan", x * (positive / positive) + 0.5);
  graph.output("infinities", x / positive - x / negative);
  runtime::State state;
  runtime::Arena arena;
  const runtime::Program program = compiler::compile(graph, {}, state, arena);
  for (float& value : state.at("x").f32()) value = 2;
  program.run();
  EXPECT_TRUE(std::isnan(state.at("nan").f32()[7]));
  EXPECT_EQ(state.at("infinities").f32()[7], std::numeric_limits<float>::infinity());
}

TEST(Compiler, RefusesPassesThatDoNotExist) {
  Graph g;
  g.output("y", square(input(g, "x", {5})));
  EXPECT_THROW(compiler::optimize(g, {.precision = compiler::Precision::f32, .disabled = {"nonsense"}}, {}),
               base::Error);
  EXPECT_THROW(compiler::choose_precision("f16"), base::Error);
  if (runtime::default_backend().has_bf16()) {
    EXPECT_EQ(compiler::choose_precision("bf16"), compiler::Precision::bf16);
  } else {
    EXPECT_FALSE(runtime::default_backend().has_fast_bf16());
    EXPECT_THROW(compiler::choose_precision("bf16"), base::Error);
  }
}

}  // namespace
}  // namespace gan::test
