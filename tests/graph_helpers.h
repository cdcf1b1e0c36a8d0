#pragma once

#include <gtest/gtest.h>

#include <string_view>
#include <utility>

#include "base/random.h"
#include "graph/graph.h"
#include "ops/ops.h"
#include "runtime/reference/reference.h"

// Helpers for tests of graphs.
namespace gan::test {

using namespace ops;
using graph::TensorType;
using runtime::ReferenceValues;

inline Tensor input(Graph& g, const char* name, Shape shape) { return g.input(name, {DType::f32, std::move(shape)}); }

inline int count_ops(const Graph& g, std::string_view name) {
  int count = 0;
  for (const graph::Node& node : g.nodes()) count += node.op && node.op->name == name;
  return count;
}

/// Every output of a graph of f32 inputs, which are filled with random elements.
inline ReferenceValues evaluate(const Graph& g) {
  ReferenceValues inputs;
  const base::RandomStream random(11, 0);
  for (const auto& [name, id] : g.inputs())
    for (std::int64_t i = 0; i < g.node(id).type.elements(); ++i)
      inputs[name].push_back(random.normal(static_cast<std::uint64_t>(id * 1000 + i)));
  return runtime::evaluate_reference(g, inputs);
}

/// Expects that a pass keeps the value of every output.
template <typename Pass>
void expect_same_values(Graph& g, const Pass& pass) {
  const ReferenceValues before = evaluate(g);
  pass(g);
  g.verify();
  const ReferenceValues after = evaluate(g);
  for (const auto& [name, values] : before)
    for (std::size_t i = 0; i < values.size(); ++i)
      EXPECT_NEAR(after.at(name)[i], values[i], 1e-12) << name << " " << i;
}

}  // namespace gan::test
