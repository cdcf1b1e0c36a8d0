#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::graph {

/// Nodes that one kernel computes together, operands before what reads them: elementwise nodes of one shape, sums over
/// their rows, and at most one node that has a Spec, the root, whose result they follow.
struct Group {
  std::vector<NodeId> nodes;
  NodeId root = -1;
};

/// The kernels of a graph in order of execution. Inputs, views and constants belong to no group.
struct Schedule {
  std::vector<Group> groups;
};

/// The dump of the graph, a group at a time.
std::string dump(const Graph& graph, const Schedule& schedule);

/// For each node, how many nodes and outputs read it.
std::vector<int> count_uses(const Graph& graph);

}  // namespace gan::graph
