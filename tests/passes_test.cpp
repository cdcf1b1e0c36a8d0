#include <cmath>

#include "autodiff/gradient.h"
#include "graph_helpers.h"
#include "passes/pass.h"

// The rewrites of graphs, one by one.
namespace gan::test {
namespace {

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

TEST(Passes, SinkSharesTheBackwardPassOfTwoLosses) {
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
  expect_same_values(g, passes::sink);
  // Two products by u and one by w come down to one each.
  EXPECT_EQ(count_ops(g, "matmul"), before - 3);
}

TEST(Passes, SinkLeavesAloneWhatItCannotMakeCheaper) {
  Graph g;
  const Tensor x = input(g, "x", {5, 4}), w = input(g, "w", {4, 3}), r = input(g, "r", {5, 1});
  g.output("y", matmul(x * r, w));
  const std::string before = g.dump();
  passes::sink(g);
  EXPECT_EQ(g.dump(), before);
}

TEST(Passes, SinkAppliesScalesWhereNothingMoreIsShared) {
  Graph g;
  const Tensor x = input(g, "x", {5, 4}), w = input(g, "w", {4, 3}), u = input(g, "u", {3, 6});
  const Tensor a = matmul(x * input(g, "r", {5, 1}), w), b = matmul(x * input(g, "s", {5, 1}), w);
  g.output("b", b);
  g.output("further", matmul(a, u));
  g.output("other_reader", matmul(a, b, true));
  expect_same_values(g, passes::sink);
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

}  // namespace
}  // namespace gan::test
