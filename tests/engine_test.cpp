#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/float_mode.h"
#include "base/parallel.h"
#include "base/random.h"
#include "compiler/compile.h"
#include "ops/ops.h"
#include "passes/pass.h"
#include "runtime/kernels.h"
#include "runtime/memory_plan.h"
#include "runtime/reference.h"

// The parts of the engine one by one: random numbers, the graph, the passes, the schedule, memory, programs.
namespace gan::test {
namespace {

using namespace ops;
using graph::TensorType;
using runtime::ReferenceValues;

TEST(Philox, KnownAnswers) {
  // The vectors that the authors publish with Random123 (kat_vectors).
  EXPECT_EQ(base::philox({0, 0}, {0, 0, 0, 0}),
            (std::array<std::uint32_t, 4>{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}));
  EXPECT_EQ(base::philox({0xffffffff, 0xffffffff}, {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}),
            (std::array<std::uint32_t, 4>{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}));
  EXPECT_EQ(base::philox({0xa4093822, 0x299f31d0}, {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}),
            (std::array<std::uint32_t, 4>{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}));
}

TEST(RandomStream, NormalsHaveTheirMoments) {
  const base::RandomStream random(7, 3);
  const int count = 200000;
  double sum = 0, squares = 0, fourth = 0;
  for (int i = 0; i < count; ++i) {
    const double value = random.normal(static_cast<std::uint64_t>(i));
    ASSERT_TRUE(std::isfinite(value));
    sum += value;
    squares += value * value;
    fourth += value * value * value * value;
  }
  EXPECT_NEAR(sum / count, 0, 0.01);  // 4.5 standard errors
  EXPECT_NEAR(squares / count, 1, 0.015);
  EXPECT_NEAR(fourth / count, 3, 0.11);
}

TEST(RandomStream, DependsOnSeedStreamStepAndIndexAlone) {
  const base::RandomStream a(1, 2, 3);
  EXPECT_EQ(a.normals(5)[2], a.normal(22));
  EXPECT_NE(a.bits(0), base::RandomStream(2, 2, 3).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1, 3, 3).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1, 2, 4).bits(0));
  EXPECT_NE(a.bits(0), base::RandomStream(1ull << 32 | 1, 2, 3).bits(0));
  for (std::uint64_t i = 0; i < 1000; ++i) {
    EXPECT_LT(a.below(7, i), 7u);
    EXPECT_LT(a.uniform(i), 1.0f);
  }
}

TEST(ParallelFor, CoversEveryIndexOnce) {
  for (const std::int64_t count : {0, 1, 5, 1000, 4097}) {
    std::vector<int> hits(static_cast<std::size_t>(count), 0);
    base::parallel_for(count, 16, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) ++hits[static_cast<std::size_t>(i)];
    });
    EXPECT_EQ(std::accumulate(hits.begin(), hits.end(), 0), count);
    EXPECT_TRUE(std::all_of(hits.begin(), hits.end(), [](int hit) { return hit == 1; }));
  }
}

TEST(FloatMode, DenormalNumbersAreZeroWhileOneLivesInAllThreads) {
  constexpr std::int64_t kCount = 4;
  const volatile float small = 1e-30f;
  const auto products = [&] {
    std::vector<float> out(kCount);
    base::parallel_for(kCount, 1, [&](std::int64_t begin, std::int64_t end) {
      for (std::int64_t i = begin; i < end; ++i) out[static_cast<std::size_t>(i)] = small * 1e-10f;
    });
    return out;
  };
  base::set_threads(2);
  const std::vector<float> before = products();
  {
    const base::ScopedFloatMode mode(base::ScopedFloatMode::without_denormals());
    EXPECT_EQ(products(), std::vector<float>(kCount, 0.0f));
  }
  EXPECT_EQ(before, std::vector<float>(kCount, 1e-40f));
  EXPECT_EQ(products(), before);
  base::set_threads(0);
}

// ---- graph ----

Tensor input(Graph& g, const char* name, Shape shape) { return g.input(name, {DType::f32, std::move(shape)}); }

TEST(Graph, RefusesNamesTakenAndForeignTensors) {
  Graph g, other;
  const Tensor x = input(g, "x", {3});
  EXPECT_THROW(input(g, "x", {3}), base::Error);
  g.output("y", square(x));
  EXPECT_THROW(g.output("y", x), base::Error);
  EXPECT_THROW(g.output("x", sum(x)), base::Error);  // the next value of x has another shape
  EXPECT_THROW(add(x, input(other, "x", {3})), base::Error);
}

TEST(Graph, DumpReadsLikeTheProgram) {
  Graph g;
  const Tensor x = input(g, "x", {2, 3}), w = input(g, "w", {4, 3});
  g.output("y", leaky_relu(matmul(x, w, false, true), 0.2));
  EXPECT_EQ(g.dump(),
            "%0 = f32[2, 3] input \"x\"\n"
            "%1 = f32[4, 3] input \"w\"\n"
            "%2 = f32[2, 4] matmul(%0, %1) {transpose_a=0, transpose_b=1}\n"
            "%3 = f32[2, 4] leaky_relu(%2) {alpha=0.2}\n"
            "output \"y\" = %3\n");
}

TEST(Gradient, RefusesALossThatIsNoNumberAndGivesZerosWhereThereIsNoPath) {
  Graph g;
  const Tensor x = input(g, "x", {3}), other = input(g, "other", {2});
  EXPECT_THROW(autodiff::gradient(square(x), {x}), base::Error);
  g.output("zeros", autodiff::gradient(sum(x), {other})[0]);
  runtime::State state;
  runtime::Arena arena;
  compiler::compile(g, {}, state, arena).run();
  EXPECT_EQ(state.at("zeros").f32()[0], 0);
  EXPECT_EQ(state.at("zeros").type().shape, (Shape{2}));
}

// ---- passes ----

int count_ops(const Graph& g, std::string_view name) {
  int count = 0;
  for (const graph::Node& node : g.nodes()) count += node.op && node.op->name == name;
  return count;
}

TEST(Passes, DceKeepsWhatOutputsNeed) {
  Graph g;
  const Tensor x = input(g, "x", {3});
  exp(x);
  g.output("y", square(x));
  passes::dce(g);
  EXPECT_EQ(g.nodes().size(), 2u);
  EXPECT_EQ(count_ops(g, "square"), 1);
}

TEST(Passes, CseMergesEqualExpressionsAndNothingElse) {
  Graph g;
  const Tensor x = input(g, "x", {3});
  g.output("a", square(x) + leaky_relu(x, 0.1));
  g.output("b", square(x) + leaky_relu(x, 0.2));
  passes::cse(g);
  EXPECT_EQ(count_ops(g, "square"), 1);
  EXPECT_EQ(count_ops(g, "leaky_relu"), 2);
}

TEST(Passes, FoldSimplifies) {
  Graph g;
  const Tensor x = input(g, "x", {2, 3});
  g.output("same", stop_gradient((x * 1.0 + 0.0) / 1.0 - 0.0));
  g.output("zero", x * 0.0);
  g.output("shape", reshape(reshape(x, {6}), {3, 2}));
  g.output("number", constant(g, 2) * 3.0 + 1.0);
  g.output("sum", sum_to(broadcast(constant(g, 0.5), {4, 3}), {3}));
  passes::fold(g);
  passes::dce(g);
  EXPECT_EQ(g.outputs().at("same"), 0);
  for (const char* name : {"mul", "add", "div", "sub", "sum", "broadcast", "stop_gradient"})
    EXPECT_EQ(count_ops(g, name), 0) << name;
  EXPECT_EQ(count_ops(g, "reshape"), 1);
  EXPECT_EQ(g.node(g.outputs().at("number")).attributes.real("value"), 7);
  EXPECT_EQ(g.node(g.outputs().at("sum")).attributes.real("value"), 2);
}

TEST(Passes, PrecisionRoundsMatrixProductsAndTheirWeights) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {8, 8}), v = input(g, "v", {1, 8});
  const Tensor h = relu(matmul(x, w));
  const Tensor next = matmul(h, w);
  g.output("y", next * step(h));  // the mask comes after the product, as in a reverse pass
  g.output("vector", matmul(v, w));
  g.output("exact", matmul(v, input(g, "z", {8, 5})));
  passes::precision(g);
  EXPECT_EQ(count_ops(g, "cast"), 4);  // x, w once, h, v
  for (const graph::Node& node : g.nodes()) {
    if (!node.op) continue;
    const DType read = node.inputs.empty() ? DType::f32 : g.node(node.inputs[0]).type.dtype;
    if (node.op->name == "matmul") {
      EXPECT_EQ(read, node.type.shape[1] == 5 ? DType::f32 : DType::bf16);
    } else if (node.op->name == "step") {
      EXPECT_EQ(read, DType::bf16);
    }
  }
}

/// Every output of a graph of f32 inputs, which are filled with numbers that differ.
ReferenceValues evaluate(const Graph& g) {
  ReferenceValues inputs;
  const base::RandomStream random(11, 0);
  for (const auto& [name, id] : g.inputs())
    for (std::int64_t i = 0; i < g.node(id).type.elements(); ++i)
      inputs[name].push_back(random.normal(static_cast<std::uint64_t>(id * 1000 + i)));
  return runtime::evaluate_reference(g, inputs);
}

/// That a pass leaves every value what it was.
void expect_same_values(Graph& g, void (*pass)(Graph&)) {
  const ReferenceValues before = evaluate(g);
  pass(g);
  g.verify();
  const ReferenceValues after = evaluate(g);
  for (const auto& [name, values] : before)
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(after.at(name)[i], values[i], 1e-12) << name << " " << i;
}

TEST(Passes, HoistSharesTheBackwardPassOfTwoLosses) {
  Graph g;
  const Tensor x = input(g, "x", {5, 4}), w = input(g, "w", {3, 4}), u = input(g, "u", {6, 3}),
               v = input(g, "v", {1, 6});
  const Tensor s = matmul(tanh(matmul(relu(matmul(x, w, false, true)), u, false, true)), v, false, true);  // [5, 1]
  g.output("of_g", autodiff::gradient(mean(square(s - 1.0)), {x})[0]);
  const auto of_d = autodiff::gradient(mean(softplus(s)), {w, u, v});
  for (const std::size_t i : {0, 1, 2}) g.output("of_d" + std::to_string(i), of_d[i]);
  g.output("of_penalty", autodiff::gradient(mean(square(autodiff::gradient(sum(s), {x})[0])), {w})[0]);
  for (const auto& pass : {passes::fold, passes::cse, passes::dce}) pass(g);
  const int before = count_ops(g, "matmul");
  expect_same_values(g, passes::hoist);
  // Two products by u and one by w come down to one each.
  EXPECT_EQ(count_ops(g, "matmul"), before - 3);
}

TEST(Passes, HoistLeavesAloneWhatItCannotMakeCheaper) {
  Graph g;
  const Tensor x = input(g, "x", {5, 4}), w = input(g, "w", {4, 3}), r = input(g, "r", {5, 1});
  g.output("y", matmul(x * r, w));
  const std::string before = g.dump();
  passes::hoist(g);
  EXPECT_EQ(g.dump(), before);
}

TEST(Passes, HoistAppliesScalesWhereNothingMoreIsShared) {
  Graph g;
  const Tensor x = input(g, "x", {5, 4}), w = input(g, "w", {4, 3}), u = input(g, "u", {3, 6});
  const Tensor a = matmul(x * input(g, "r", {5, 1}), w), b = matmul(x * input(g, "s", {5, 1}), w);
  g.output("b", b);
  g.output("further", matmul(a, u));
  g.output("other_reader", matmul(a, b, true));
  expect_same_values(g, passes::hoist);
  EXPECT_EQ(count_ops(g, "matmul"), 3) << g.dump();
  const graph::Node& further = g.node(g.outputs().at("further"));
  EXPECT_EQ(further.op->name, "matmul") << g.dump();
}

TEST(Passes, PrecisionRoundsBeforeNumbersAreMoved) {
  Graph g;
  const Tensor a = input(g, "a", {6, 2, 3}), b = input(g, "b", {6, 4}), w = input(g, "w", {10, 8});
  const Tensor joined = concat({reshape(a, {6, 6}), b});
  g.output("all", matmul(joined, w));
  g.output("some", matmul(slice(joined, 0, 2, 3), w));
  passes::precision(g);
  for (const graph::Node& node : g.nodes())
    if (node.op && (node.op->name == "concat" || node.op->name == "slice")) {
      EXPECT_EQ(node.type.dtype, graph::DType::bf16) << g.dump();
    }
  // a, b and w are rounded, each once.
  EXPECT_EQ(count_ops(g, "cast"), 3) << g.dump();
}

TEST(Schedule, AProductWaitsForAChainThatEndsInLess) {
  Graph g;
  const Tensor x = cast(input(g, "x", {40, 32}), graph::DType::bf16);
  const Tensor w = cast(input(g, "w", {32, 48}), graph::DType::bf16), b = input(g, "b", {48});
  const Tensor h = matmul(x, w);
  g.output("h", cast(relu(h + b), graph::DType::bf16));
  // What an optimizer reads of full size keeps the product by itself.
  const Tensor m = input(g, "m", {32, 48}), gradient = matmul(x, cast(relu(h), graph::DType::bf16), true, false);
  g.output("m", m * 0.9 + gradient * 0.1);
  const graph::Schedule schedule = passes::schedule(g, {});
  if (!runtime::matmul_takes_chain(x.type(), h.type())) return;  // a processor without a kernel of ours
  std::vector<std::size_t> sizes;
  for (const graph::Group& group : schedule.groups)
    if (group.product >= 0) sizes.push_back(group.nodes.size());
  EXPECT_EQ(sizes, (std::vector<std::size_t>{6, 1})) << dump(g, schedule);
  for (const graph::Group& group : passes::schedule(g, {.chain = false}).groups) EXPECT_EQ(group.product, -1);
}

TEST(Schedule, SumsOverRowsEndTheChainThatMakesTheirOperand) {
  Graph g;
  const Tensor x = input(g, "x", {200, 300}), y = square(x);
  g.output("rows", sum_to(y, {300}));
  g.output("columns", sum_to(y, {200, 1}));
  g.output("all", sum(y * 1e-6));
  g.output("after", sum_to(y, {300}) * 0.5);
  expect_same_values(g, passes::sums);
  const graph::Schedule schedule = passes::schedule(g, {});
  if (!runtime::chains_take_sums()) return;  // a processor without AVX-512
  // One kernel for y, its multiple and three sums over rows; then those of columns, of the total, of what reads a sum.
  ASSERT_EQ(schedule.groups.size(), 4u) << dump(g, schedule);
  EXPECT_EQ(schedule.groups[0].nodes.size(), 5u) << dump(g, schedule);
  EXPECT_EQ(passes::schedule(g, {.chain = false}).groups.size(), 7u);
}

TEST(Passes, PrecisionRoundsProductsThatAreSummedToOneNumber) {
  Graph g;
  const Tensor x = input(g, "x", {6, 4}), w = input(g, "w", {4, 5}), g1 = input(g, "g", {6, 5});
  const Tensor product = matmul(x, w), other = matmul(x, w * 2.0);
  g.output("one", sum(g1 * product * input(g, "scale", {6, 1})));
  g.output("row", sum_to(g1 * other, {5}));
  const Tensor u = input(g, "u", {1, 6});
  g.output("vector", sum(matmul(u, x) * input(g, "v", {1, 4})));
  passes::precision(g);
  int rounded = 0;
  for (const graph::Node& node : g.nodes())
    if (node.op && node.op->name == "cast") rounded += g.node(node.inputs[0]).op == &graph::find_op("matmul");
  EXPECT_EQ(rounded, 1) << g.dump();
}

TEST(Passes, PrecisionRoundsProductsThatStayInMemory) {
  Graph g;
  const Tensor x = input(g, "x", {6, 4}), w = input(g, "w", {4, 5}), dy = input(g, "dy", {6, 5});
  g.output("forward", relu(matmul(x, w)));
  g.output("weights", matmul(x, dy, true, false) * 0.1);
  g.output("part", slice(matmul(dy, w, false, true), 1, 0, 3) * 0.1);
  passes::precision(g);
  const auto type_of_operand = [&](const char* name) {
    const graph::Node& read = g.node(g.node(g.outputs().at(name)).inputs[0]);
    return read.op->name == "cast" ? g.node(read.inputs[0]).type.dtype : read.type.dtype;
  };
  EXPECT_EQ(type_of_operand("forward"), DType::f32) << g.dump();
  EXPECT_EQ(type_of_operand("weights"), DType::bf16) << g.dump();
  EXPECT_EQ(type_of_operand("part"), DType::bf16) << g.dump();
}

TEST(Passes, NarrowCutsProductsToWhatIsRead) {
  for (const bool transposed : {false, true}) {
    Graph g;
    const Tensor a = transposed ? input(g, "a", {5, 8}) : input(g, "a", {8, 5});
    const Tensor b = transposed ? input(g, "b", {9, 5}) : input(g, "b", {5, 9});
    const Tensor product = matmul(a, b, transposed, transposed), whole = matmul(a, b * 2.0, transposed, transposed);
    g.output("rows", slice(product, 0, 2, 4));
    g.output("columns", slice(product, 1, 7, 2));
    g.output("most", slice(whole, 1, 0, 9 - 0) + slice(whole, 0, 0, 8));
    expect_same_values(g, passes::narrow);
    EXPECT_EQ(g.node(g.outputs().at("rows")).op->name, "matmul");
    EXPECT_EQ(g.node(g.outputs().at("columns")).op->name, "matmul");
    EXPECT_EQ(count_ops(g, "matmul"), 3);
  }
}

TEST(Passes, FoldCutsRowsFirst) {
  Graph g;
  const Tensor x = input(g, "x", {4, 6});
  g.output("y", slice(reshape(slice(x, 1, 1, 4), {4, 2, 2}), 0, 1, 2));
  expect_same_values(g, passes::fold);
  passes::dce(g);
  const graph::Node& columns = g.node(g.node(g.outputs().at("y")).inputs[0]);
  EXPECT_EQ(columns.attributes.integer("axis"), 1);
  EXPECT_EQ(g.node(columns.inputs[0]).attributes.integer("axis"), 0);
}

TEST(Passes, FoldMakesAProductOverOneNumberElementwise) {
  Graph g;
  g.output("y", matmul(input(g, "a", {1, 4}), input(g, "b", {5, 1}), true, true));
  expect_same_values(g, passes::fold);
  EXPECT_EQ(count_ops(g, "matmul"), 0);
}

TEST(Passes, CarryRoundsWhatIsWrittenInsteadOfWhatIsRead) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {8, 8}), fixed = input(g, "fixed", {8, 8});
  g.output("y", matmul(matmul(x, w), fixed));
  g.output("w", w * 0.5);
  passes::precision(g);
  passes::carry(g);
  g.verify();
  ASSERT_EQ(g.inputs().count("w.bf16"), 1u);
  EXPECT_EQ(g.inputs().count("fixed.bf16"), 0u);
  EXPECT_EQ(g.node(g.node(g.outputs().at("w.bf16")).inputs[0]).op->name, "mul");
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

TEST(Schedule, FusesALayerIntoOneKernelAndAChainIntoOne) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {6, 8}), b = input(g, "b", {6});
  g.output("y", tanh(matmul(x, w, false, true) * 0.5 + b));
  // Two chains that meet, and share an operand: one sweep.
  const Tensor m = w * 0.9 + square(w) * 0.1, v = exp(w) * 0.5;
  g.output("w", w - m / (sqrt(v) + 1.0));
  const graph::Schedule fused = passes::schedule(g, {});
  ASSERT_EQ(fused.groups.size(), 2u);
  EXPECT_EQ(fused.groups[0].nodes.size(), 4u);
  EXPECT_EQ(fused.groups[1].nodes.size(), 10u);
  EXPECT_EQ(passes::schedule(g, {.epilogue = false, .elementwise = false}).groups.size(), 14u);
}

TEST(Schedule, DoesNotFuseAResultThatOthersRead) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {6, 8});
  const Tensor product = matmul(x, w, false, true);
  g.output("y", relu(product));
  g.output("product", product);
  EXPECT_EQ(passes::schedule(g, {}).groups.size(), 2u);
}

// ---- memory and programs ----

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

TEST(Array, SharesItsElementsAndKeepsThemAlive) {
  auto first = std::make_unique<runtime::Array>(Shape{3}, std::vector<float>{1, 2, 3});
  const runtime::Array second = first->share();
  first->f32()[1] = 5;
  first.reset();
  EXPECT_EQ(second.type().shape, (Shape{3}));
  EXPECT_EQ((std::vector<float>(second.f32().begin(), second.f32().end())), (std::vector<float>{1, 5, 3}));
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
          std::fill_n(reinterpret_cast<float*>(arena.reserve(1)), 1, 1e9f);
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

TEST(Compiler, RefusesPassesThatDoNotExist) {
  Graph g;
  g.output("y", square(input(g, "x", {5})));
  EXPECT_THROW(compiler::optimize(g, {.precision = compiler::Precision::f32, .disabled = {"nonsense"}}), base::Error);
  EXPECT_THROW(compiler::choose_precision("f16"), base::Error);
  if (runtime::has_bf16()) {
    EXPECT_EQ(compiler::choose_precision("bf16"), compiler::Precision::bf16);
  } else {
    EXPECT_FALSE(runtime::has_fast_bf16());
    EXPECT_THROW(compiler::choose_precision("bf16"), base::Error);
  }
}

}  // namespace
}  // namespace gan::test
