#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::graph {

/// Nodes that one kernel computes together, operands before what reads them. The elementwise nodes of a group have one
/// shape, and nodes of it may be sums over their rows (`Op::ends_chain`). A group whose first node has an epilogue
/// applies the rest, elementwise, to that node's result. `product` is a contraction in a group of elementwise nodes,
/// whose result these read piece by piece.
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
