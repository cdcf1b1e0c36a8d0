#pragma once

#include <vector>

#include "graph/graph.h"
#include "op_suite/cases.h"
#include "runtime/reference/reference.h"

namespace gan::test {

/// A case built into a graph, with values for its inputs.
struct Built {
  graph::Graph graph;
  std::vector<graph::Tensor> arguments;
  graph::Tensor result;
  runtime::ReferenceValues values;
};
void build(const OpCase& test, Built& built);

/// A tensor times fixed weights in [-1, 1], summed: a scalar whose derivatives see every element.
graph::Tensor project(graph::Tensor tensor, int salt, runtime::ReferenceValues& values);

/// The arguments of a case that have derivatives.
std::vector<graph::Tensor> differentiable(const OpCase& test, const Built& built);

/// Makes the case's value, its gradients, and the gradients of a projection of these outputs of the graph: "value",
/// "firstI", "projection", "secondI".
void add_outputs(const OpCase& test, Built& built);

}  // namespace gan::test
