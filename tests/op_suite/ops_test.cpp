#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "autodiff/gradient.h"
#include "base/error.h"
#include "base/random.h"
#include "compare.h"
#include "compiler/compile.h"
#include "op_suite/build.h"
#include "op_suite/cases.h"
#include "ops/ops.h"
#include "runtime/reference/reference.h"
#include "walled_backend.h"

// Runs over the table of ops: every op must have cases, and every case goes through every check.
namespace gan::test {
namespace {

using namespace ops;
using runtime::ReferenceValues;

std::map<std::string, std::vector<double>> run(Graph& graph, const ReferenceValues& values,
                                               const compiler::Options& options) {
  runtime::State state;
  for (const auto& [name, id] : graph.inputs()) {
    runtime::Array array(graph.node(id).type);
    const std::vector<double>& from = values.at(name);
    if (array.type().dtype == DType::i32)
      std::transform(from.begin(), from.end(), array.i32().begin(),
                     [](double v) { return static_cast<std::int32_t>(v); });
    else
      std::transform(from.begin(), from.end(), array.f32().begin(), [](double v) { return static_cast<float>(v); });
    state[name] = std::move(array);
  }
  std::vector<std::string> names;
  for (const auto& [name, id] : graph.outputs()) names.push_back(name);
  runtime::Arena arena;
  compiler::compile(graph, options, state, arena).run();
  std::map<std::string, std::vector<double>> results;
  for (const std::string& name : names) {
    const runtime::Array result = state.at(name).on_host();
    results[name].assign(result.f32().begin(), result.f32().end());
  }
  return results;
}

class Ops : public testing::TestWithParam<OpCase> {};

TEST_P(Ops, KernelsAgreeWithReference) {
  const OpCase& test = GetParam();
  std::vector<compiler::Options> settings{{}, {.disabled = {"all"}}};
  for (const std::string& pass : compiler::pass_names()) settings.push_back({.disabled = {pass}});
  for (const compiler::Options& options : settings) {
    Built built;
    build(test, built);
    add_outputs(test, built);
    const ReferenceValues expected = runtime::evaluate_reference(built.graph, built.values);
    const auto results = run(built.graph, built.values, options);
    for (const auto& [name, values] : results) {
      if (name == "projection") continue;  // a sum that may cancel
      ASSERT_EQ(values.size(), expected.at(name).size());
      EXPECT_LE(relative_error(values, expected.at(name), 1e-3), test.tolerance)
          << name << " without " << (options.disabled.empty() ? "nothing" : *options.disabled.begin());
    }
  }
}

TEST_P(Ops, EveryBackendAgreesWithReference) {
  const OpCase& test = GetParam();
  for (const runtime::Backend* backend : all_backends()) {
    Built built;
    build(test, built);
    add_outputs(test, built);
    const ReferenceValues expected = runtime::evaluate_reference(built.graph, built.values);
    for (const auto& [name, values] : run(built.graph, built.values, {.backend = backend})) {
      if (name == "projection") continue;
      EXPECT_LE(relative_error(values, expected.at(name), 1e-3), test.tolerance) << name << " " << backend->describe();
    }
  }
}

TEST_P(Ops, Bf16StaysNearReference) {
  const OpCase& test = GetParam();
  for (const runtime::Backend* backend : all_backends()) {
    Built built;
    build(test, built);
    built.graph.output("value", built.result);
    const ReferenceValues expected = runtime::evaluate_reference(built.graph, built.values);
    const auto results = run(built.graph, built.values, {.precision = compiler::Precision::bf16, .backend = backend});
    EXPECT_LE(relative_error(results.at("value"), expected.at("value"), 1e-3), 1e-2) << backend->describe();
  }
}

/// Compares gradients with central differences of a scalar output, both in float64.
void check_gradient(const OpCase& test, const std::string& scalar, const std::string& gradient) {
  Built built;
  build(test, built);
  if (scalar == "loss") {
    const std::vector<Tensor> wrt = differentiable(test, built);
    const Tensor loss = project(built.result, 0, built.values);
    built.graph.output("loss", loss);
    const std::vector<Tensor> first = autodiff::gradient(loss, wrt);
    for (std::size_t i = 0; i < wrt.size(); ++i) built.graph.output("first" + std::to_string(i), first[i]);
  } else {
    add_outputs(test, built);
  }
  const ReferenceValues exact = runtime::evaluate_reference(built.graph, built.values);
  int number = 0;
  for (std::size_t i = 0; i < test.arguments.size(); ++i) {
    if (!test.arguments[i].differentiable) continue;
    const std::vector<double>& analytic = exact.at(gradient + std::to_string(number++));
    std::vector<double>& x = built.values.at("x" + std::to_string(i));
    // A few elements of large arguments are enough.
    const std::size_t stride = x.size() > 64 ? x.size() / 7 : 1;
    for (std::size_t k = 0; k < x.size(); k += stride) {
      const double at = x[k], h = 1e-5 * std::max(1.0, std::abs(at));
      x[k] = at + h;
      const double above = runtime::evaluate_reference(built.graph, built.values).at(scalar)[0];
      x[k] = at - h;
      const double below = runtime::evaluate_reference(built.graph, built.values).at(scalar)[0];
      x[k] = at;
      const double numeric = (above - below) / (2 * h);
      const double scale = std::max({1.0, std::abs(numeric), std::abs(exact.at(scalar)[0])});
      EXPECT_NEAR(analytic[k], numeric, 1e-6 * scale) << "argument " << i << " element " << k;
    }
  }
}

class OpDerivatives : public Ops {};

TEST_P(OpDerivatives, First) { check_gradient(GetParam(), "loss", "first"); }

TEST_P(OpDerivatives, Second) { check_gradient(GetParam(), "projection", "second"); }

/// The cases that have derivatives to compare with: rounding has none, and stop_gradient hides its own.
std::vector<OpCase> differentiable_cases() {
  std::vector<OpCase> cases = op_cases();
  std::erase_if(cases, [](const OpCase& test) {
    const bool has = !test.arguments.empty() && test.arguments[0].differentiable;
    return !has || test.op == "stop_gradient" || test.name == "bf16 and back";
  });
  return cases;
}

std::string name_of(const testing::TestParamInfo<OpCase>& info) {
  std::string name = info.param.op + "_" + info.param.name + "_" + std::to_string(info.index);
  for (char& c : name)
    if (!std::isalnum(static_cast<unsigned char>(c))) c = '_';
  return name;
}

INSTANTIATE_TEST_SUITE_P(Table, Ops, testing::ValuesIn(op_cases()), name_of);
INSTANTIATE_TEST_SUITE_P(Table, OpDerivatives, testing::ValuesIn(differentiable_cases()), name_of);

TEST(OpTable, EveryOpHasCasesAndErrors) {
  std::set<std::string> with_cases, with_errors;
  for (const OpCase& test : op_cases()) with_cases.insert(test.op);
  for (const OpError& test : op_errors()) with_errors.insert(test.op);
  for (const graph::Op* op : graph::op_table()) {
    EXPECT_TRUE(with_cases.count(std::string(op->name))) << op->name << " has no cases";
    EXPECT_TRUE(with_errors.count(std::string(op->name))) << op->name << " has no errors";
  }
  EXPECT_GE(graph::op_table().size(), 30u);
}

TEST(OpTable, ErrorsNameTheOpAndTheReason) {
  for (const OpError& test : op_errors()) {
    Graph graph;
    try {
      test.build(graph);
      ADD_FAILURE() << test.op << " " << test.name << " was not refused";
    } catch (const base::Error& error) {
      EXPECT_EQ(error.kind(), base::ErrorKind::usage);
      EXPECT_NE(std::string(error.what()).find(test.message), std::string::npos) << error.what();
      EXPECT_NE(std::string(error.what()).find(test.op), std::string::npos) << error.what();
    }
  }
}

TEST(StopGradient, HasNone) {
  Graph graph;
  const Tensor x = graph.input("x", {DType::f32, {3}});
  graph.output("gradient", autodiff::gradient(sum(x * stop_gradient(x)), {x})[0]);
  const ReferenceValues result = runtime::evaluate_reference(graph, {{"x", {1, 2, 3}}});
  EXPECT_EQ(result.at("gradient"), (std::vector<double>{1, 2, 3}));
}

// Labels are checked before they reach a program. Should one be out of range all the same, nothing is read or written
// outside of the operands, and the result shows it.
TEST(OutOfRange, AnIndexReadsAndWritesNothingElsewhere) {
  for (const runtime::Backend* backend : all_backends()) {
    Graph graph;
    const Tensor table = graph.input("table", {DType::f32, {3, 2}}), index = graph.input("index", {DType::i32, {4}});
    graph.output("rows", gather(table, index));
    graph.output("sums", scatter_add(gather(table, index) * 0.0 + 1.0, index, 3));
    graph.output("hot", one_hot(index, 3));
    graph.output("numbers", cast(gather(graph.input("integers", {DType::i32, {3, 1}}), index), DType::f32));
    const auto results = run(graph, {{"table", {1, 2, 3, 4, 5, 6}}, {"integers", {7, 8, 9}}, {"index", {1, 3, -1, 2}}},
                             {.backend = backend});
    EXPECT_EQ(results.at("numbers"), (std::vector<double>{8, 0, 0, 9}));
    const std::vector<double>& rows = results.at("rows");
    EXPECT_EQ((std::vector<double>{rows[0], rows[1], rows[6], rows[7]}), (std::vector<double>{3, 4, 5, 6}));
    for (std::size_t i = 2; i < 6; ++i) EXPECT_TRUE(std::isnan(rows[i])) << i;
    EXPECT_EQ(results.at("sums"), (std::vector<double>{0, 0, 1, 1, 1, 1}));
    EXPECT_EQ(results.at("hot"), (std::vector<double>{0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}));
  }
}

/// A small use of an op with its result written out by hand: what the reference and the kernels have in common (an op's
/// `describe`) can be wrong in neither.
struct Example {
  const char* name;
  std::vector<Shape> shapes;  ///< of arguments that hold 1, 2, 3, ... each
  std::function<Tensor(const std::vector<Tensor>&)> build;
  std::vector<double> expected;
};

TEST(OpExamples, HaveTheValuesOfTheirDefinitions) {
  const Example examples[] = {
      {"slice columns", {{2, 4}}, [](const auto& t) { return slice(t[0], 1, 1, 2); }, {2, 3, 6, 7}},
      {"slice rows", {{3, 2}}, [](const auto& t) { return slice(t[0], 0, 1, 2); }, {3, 4, 5, 6}},
      {"slice middle", {{2, 2, 2}}, [](const auto& t) { return slice(t[0], 1, 1, 1); }, {3, 4, 7, 8}},
      {"pad columns", {{2, 2}}, [](const auto& t) { return pad(t[0], 1, 1, 2); }, {0, 1, 2, 0, 0, 0, 3, 4, 0, 0}},
      {"pad rows", {{1, 2}}, [](const auto& t) { return pad(t[0], 0, 2, 1); }, {0, 0, 0, 0, 1, 2, 0, 0}},
      {"permute",
       {{2, 3}},
       [](const auto& t) {
         return permute(t[0], {1, 0});
       },
       {1, 4, 2, 5, 3, 6}},
      {"permute three",
       {{2, 2, 3}},
       [](const auto& t) {
         return permute(t[0], {2, 0, 1});
       },
       {1, 4, 7, 10, 2, 5, 8, 11, 3, 6, 9, 12}},
      {"concat",
       {{2, 1}, {2, 2}},
       [](const auto& t) {
         return concat({t[0], t[1]});
       },
       {1, 1, 2, 2, 3, 4}},
      {"row_maximum", {{2, 3}}, [](const auto& t) { return row_maximum(t[0] * (t[0] - 2.0)); }, {3, 24}},
      // Numbers 0.1, 0.9 of reach 1 in both directions: one up and one to the right.
      {"shift_images",
       {{1, 1, 3, 3}, {1, 2}},
       [](const auto& t) { return shift_images(t[0], t[1] * 0.8 - 0.7, 1, 1); },
       {0, 4, 5, 0, 7, 8, 0, 0, 0}},
      // Numbers 0.3, 0.7 for boxes of 1 x 2 in 3 x 3: row floor(0.3 * 3), columns from floor(0.7 * 4) - 1.
      {"cutout_mask",
       {{1, 2}},
       [](const auto& t) { return cutout_mask(t[0] * 0.4 - 0.1, 3, 3, 1, 2); },
       {1, 0, 0, 1, 1, 1, 1, 1, 1}},
      {"sum rows", {{2, 3}}, [](const auto& t) { return sum_to(t[0], {3}); }, {5, 7, 9}},
      {"sum columns",
       {{2, 3}},
       [](const auto& t) {
         return sum_to(t[0], {2, 1});
       },
       {6, 15}},
      {"matmul", {{2, 2}, {2, 2}}, [](const auto& t) { return matmul(t[0], t[1], true, false); }, {10, 14, 14, 20}},
  };
  for (const Example& example : examples) {
    Graph graph;
    std::vector<Tensor> arguments;
    ReferenceValues values;
    for (std::size_t i = 0; i < example.shapes.size(); ++i) {
      const std::string name = "x" + std::to_string(i);
      arguments.push_back(graph.input(name, {DType::f32, example.shapes[i]}));
      for (std::int64_t k = 0; k < graph::element_count(example.shapes[i]); ++k)
        values[name].push_back(static_cast<double>(k + 1));
    }
    graph.output("value", example.build(arguments));
    EXPECT_EQ(runtime::evaluate_reference(graph, values).at("value"), example.expected) << example.name;
    EXPECT_EQ(run(graph, values, {}).at("value"), example.expected) << example.name;
  }
}

}  // namespace
}  // namespace gan::test
