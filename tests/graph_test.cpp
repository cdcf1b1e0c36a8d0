#include "graph/graph.h"

#include "autodiff/gradient.h"
#include "base/error.h"
#include "compiler/compile.h"
#include "graph_helpers.h"

// Graphs and their gradients.
namespace gan::test {
namespace {

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

}  // namespace
}  // namespace gan::test
