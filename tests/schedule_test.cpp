#include <algorithm>

#include "graph/target.h"
#include "graph_helpers.h"
#include "passes/pass.h"

// The nodes that share a kernel, for targets that need not be this machine.
namespace gan::test {
namespace {

using graph::Group;
using graph::Schedule;
using graph::Target;

/// A processor with AVX2 and no more: oneDNN's post-ops.
const Target kAvx2{.name = "avx2"};
/// One with AMX: products of bf16 hand pieces to chains, which are machine code and add up rows.
const Target kAmx{.name = "amx", .bf16_products_run_chains = true, .chains_sum_rows = true};
/// An invented device without epilogues, with short chains that add up even the shortest rows.
const Target kInvented{
    .name = "invented", .longest_chain = 3, .longest_epilogue = 0, .chains_sum_rows = true, .shortest_summed_row = 1};

/// The sizes of the groups in their order.
std::vector<std::size_t> sizes(const Schedule& schedule) {
  std::vector<std::size_t> sizes;
  for (const Group& group : schedule.groups) sizes.push_back(group.nodes.size());
  return sizes;
}

std::vector<std::size_t> sizes(const Graph& g, const Target& target) { return sizes(passes::schedule(g, target, {})); }

TEST(Schedule, FusesALayerIntoOneKernelAndAChainIntoOne) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {6, 8}), b = input(g, "b", {6});
  g.output("y", tanh(matmul(x, w, false, true) * 0.5 + b));
  // Two chains that meet, and share an operand: one sweep.
  const Tensor m = w * 0.9 + square(w) * 0.1, v = exp(w) * 0.5;
  g.output("w", w - m / (sqrt(v) + 1.0));
  EXPECT_EQ(sizes(g, kAvx2), (std::vector<std::size_t>{4, 10}));
  EXPECT_EQ(sizes(g, kAmx), (std::vector<std::size_t>{4, 10}));
  // The product alone, chains of at most three.
  EXPECT_EQ(sizes(g, kInvented), (std::vector<std::size_t>{1, 2, 1, 3, 3, 3, 1}));
  EXPECT_EQ(passes::schedule(g, kAvx2, {.epilogue = false, .elementwise = false}).groups.size(), 14u);
}

TEST(Schedule, DoesNotFuseAResultThatOthersRead) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {6, 8});
  const Tensor product = matmul(x, w, false, true);
  g.output("y", relu(product));
  g.output("product", product);
  for (const Target& target : {kAvx2, kAmx, kInvented})
    EXPECT_EQ(sizes(g, target), (std::vector<std::size_t>{1, 1})) << target.name;
}

TEST(Schedule, OnlyTransposedProductsOfF32HaveAnEpilogue) {
  Graph g;
  const Tensor x = input(g, "x", {4, 8}), w = input(g, "w", {6, 8}), v = input(g, "v", {8, 6});
  g.output("transposed", relu(matmul(x, w, false, true)));
  g.output("plain", relu(matmul(x, v)));
  EXPECT_EQ(sizes(g, kAvx2), (std::vector<std::size_t>{2, 1, 1}));
  Target all = kAvx2;
  all.epilogue_wants_transposed_b = false;
  EXPECT_EQ(sizes(g, all), (std::vector<std::size_t>{2, 2}));
  all.epilogue_ops = {graph::ElementwiseOp::add};
  EXPECT_EQ(sizes(g, all), (std::vector<std::size_t>{1, 1, 1, 1}));
}

TEST(Schedule, EpiloguesMayBeBiasesOfUngroupedProductsAlone) {
  Target target = kAvx2;
  target.epilogue_operands_are_rows = true;
  target.epilogues_of_groups = false;
  Graph g;
  const Tensor product = matmul(input(g, "x", {6, 8}), input(g, "w", {6, 8}), false, true);
  const Tensor images = input(g, "images", {2, 4, 4, 6});
  g.output("row", product + input(g, "row.bias", {6}));
  g.output("column", relu(matmul(input(g, "y", {6, 8}), input(g, "v", {6, 8}), false, true)) + input(g, "c", {6, 1}));
  g.output("one", ops::conv2d(images, input(g, "k1", {6, 6, 3, 3}), 1, 1, 1) + input(g, "b1", {6}));
  g.output("groups", ops::conv2d(images, input(g, "k2", {6, 3, 3, 3}), 1, 1, 2) + input(g, "b2", {6}));
  EXPECT_EQ(sizes(g, target), (std::vector<std::size_t>{2, 2, 2, 1, 1, 1}));
  EXPECT_EQ(sizes(g, kAvx2).size(), 5u);
}

TEST(Schedule, AProductWaitsForAChainThatEndsInLess) {
  Graph g;
  const Tensor x = cast(input(g, "x", {40, 32}), DType::bf16);
  const Tensor w = cast(input(g, "w", {32, 48}), DType::bf16), b = input(g, "b", {48});
  const Tensor h = matmul(x, w);
  g.output("h", cast(relu(h + b), DType::bf16));
  // A product whose chain reads operands of full size, as an optimizer does, is computed alone.
  const Tensor m = input(g, "m", {32, 48}), gradient = matmul(x, cast(relu(h), DType::bf16), true, false);
  g.output("m", m * 0.9 + gradient * 0.1);
  const auto with_product = [&](const Target& target, const passes::Fusion& fusion) {
    const Schedule schedule = passes::schedule(g, target, fusion);
    std::vector<std::size_t> found;
    for (const Group& group : schedule.groups)
      if (group.root >= 0) found.push_back(group.nodes.size());
    return found;
  };
  EXPECT_EQ(with_product(kAmx, {}), (std::vector<std::size_t>{6, 1}));
  // h has two readers and hence no epilogue, the gradient is scaled and added to m.
  EXPECT_EQ(with_product(kAmx, {.chain = false}), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(with_product(kAvx2, {}), (std::vector<std::size_t>{1, 3}));
  EXPECT_EQ(with_product(kInvented, {}), (std::vector<std::size_t>{1, 1}));
}

TEST(Schedule, SumsOverRowsEndTheChainThatMakesTheirOperand) {
  Graph g;
  const Tensor x = input(g, "x", {200, 300}), y = square(x);
  g.output("rows", sum_to(y, {300}));
  g.output("columns", sum_to(y, {200, 1}));
  g.output("all", sum(y * 1e-6));
  g.output("after", sum_to(y, {300}) * 0.5);
  expect_same_values(g, [](Graph& graph) { passes::sums(graph, kAmx); });
  // One kernel for y, its multiple and three sums over rows; then those of columns, of the total, of what reads a sum.
  const Schedule schedule = passes::schedule(g, kAmx, {});
  ASSERT_EQ(schedule.groups.size(), 4u) << dump(g, schedule);
  EXPECT_EQ(schedule.groups[0].nodes.size(), 5u) << dump(g, schedule);
  EXPECT_EQ(passes::schedule(g, kAmx, {.chain = false}).groups.size(), 7u);
  EXPECT_EQ(passes::schedule(g, kAvx2, {}).groups.size(), 7u);
}

TEST(Schedule, ShortRowsAreSummedInAChainWhereTheTargetSaysSo) {
  Graph g;
  g.output("rows", sum_to(square(input(g, "x", {200, 3})), {3}));
  EXPECT_EQ(sizes(g, kAmx), (std::vector<std::size_t>{1, 1}));
  EXPECT_EQ(sizes(g, kInvented), (std::vector<std::size_t>{2}));
}

}  // namespace
}  // namespace gan::test
