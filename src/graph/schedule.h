#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::graph {

/// Nodes of one kernel in order of execution: at most one node with a Spec, the root, then elementwise nodes of one
/// shape and sums over their rows.
struct Group {
  std::vector<NodeId> nodes;
  NodeId root = -1;  ///< -1: none
};

/// The kernels of a graph in order of execution. Inputs, views and constants belong to no group.
struct Schedule {
  std::vector<Group> groups;
};

/// The dump of the graph, grouped by kernel.
std::string dump(const Graph& graph, const Schedule& schedule);

/// For each node, the number of inputs of nodes and of outputs that read it.
std::vector<int> count_uses(const Graph& graph);

}  // namespace gan::graph
