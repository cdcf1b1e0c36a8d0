#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::runtime {

/// Values by name, every element as float64.
using ReferenceValues = std::map<std::string, std::vector<double>>;

/// Runs a graph node by node with each op's plain reference implementation in float64 and returns its outputs. Slow;
/// what the kernels are tested against. Throws a usage error if an input is missing or has the wrong number of
/// elements.
ReferenceValues evaluate_reference(const graph::Graph& graph, const ReferenceValues& inputs);

}  // namespace gan::runtime
