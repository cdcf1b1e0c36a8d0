#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::graph {

/// Nodes that one kernel computes together. `nodes` are in graph order. In a group of elementwise nodes all have one
/// shape; a group whose first node has an epilogue applies the rest, elementwise, to that node's result. `product` is
/// the one node of a group of elementwise nodes that is not: a contraction whose result these read piece by piece.
struct Group {
  std::vector<NodeId> nodes;
  NodeId product = -1;
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
