#pragma once

#include <map>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::runtime {

/// Values by name, every element as float64.
using ReferenceValues = std::map<std::string, std::vector<double>>;

/// Evaluates a graph node by node in float64, by the plain implementation of each op, and returns its outputs. Slow;
/// kernels are tested against it. Throws a usage error if an input is missing or has the wrong number of elements.
ReferenceValues evaluate_reference(const graph::Graph& graph, const ReferenceValues& inputs);

}  // namespace gan::runtime
