#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "graph/schedule.h"
#include "graph/target.h"
#include "runtime/array.h"

namespace gan::runtime {

/// Inputs whose values are final when the program is made. Nodes that depend on them only are computed once, then.
struct Frozen {
  std::set<std::string> inputs;
  std::int64_t compact_rows = 0;  ///< Launch::compact_rows
};

/// The parts of a batch, equal in size, that a program computes one after the other. What depends on no rows is
/// computed once; all_reduces add up what the parts give.
struct Parts {
  std::int64_t count = 1;
  /// Inputs of the graph that differ by part; empty: no part of the graph is told from the whole. Their entries of the
  /// state, and those of outputs that depend on them, hold all parts: `count` times the first axis.
  std::set<std::string> inputs = {};
};

/// Scratch memory shared by programs that do not run at the same time.
class Arena {
 public:
  /// At least `bytes` bytes, at an address that does not change.
  std::byte* reserve(std::size_t bytes, Memory& memory);

 private:
  std::vector<Buffer> blocks_;
};

/// Assigns memory to the values of a graph: entries of the state to inputs and outputs, updated in place where that is
/// safe, and parts of an arena to all others, where values with disjoint lifetimes share bytes.
class Placement {
 public:
  /// Binds inputs and outputs to entries of the state, which it makes if they are missing, and decides which nodes are
  /// stored. Throws usage errors if an entry has another type or a frozen input is missing or has a next value, and a
  /// run error if the next value of an input depends on a part of the batch alone. Nothing is frozen with parts.
  Placement(const graph::Graph& graph, const graph::Schedule& schedule, const graph::Target& target, State& state,
            const Frozen& frozen, const Parts& parts, Memory& memory);

  /// A kernel in order of execution: a group, for one part if it depends on parts or is an all_reduce.
  struct Step {
    std::size_t group;
    std::int64_t part;
  };
  const std::vector<Step>& steps() const { return steps_; }

  /// Whether the value of a node is stored; if not, it stays in a register of one kernel.
  bool is_stored(graph::NodeId id) const { return stored_[static_cast<std::size_t>(id)]; }
  /// Whether a node depends on frozen inputs and constants only.
  bool is_frozen(graph::NodeId id) const { return frozen_nodes_[static_cast<std::size_t>(graph_.storage(id))]; }

  /// Gives every stored node an address, and the steps of each group a workspace of workspaces[group] bytes.
  void plan(const std::vector<std::size_t>& workspaces, Arena& arena);

  /// The address of a node as a part reads it. A constant is written to memory on first use.
  std::byte* address(graph::NodeId id, std::int64_t part);
  std::byte* workspace(std::size_t step) const { return workspaces_[step]; }

  /// Copies before and after the kernels, for outputs that cannot be computed in place.
  struct Copy {
    std::byte *from, *to;
    std::size_t bytes;
  };
  const std::vector<Copy>& copies_before() const { return copies_before_; }
  const std::vector<Copy>& copies_after() const { return copies_after_; }
  /// Memory owned by the program: constants, results of frozen nodes, staging of copies.
  std::vector<Buffer> take_buffers() { return std::move(buffers_); }

 private:
  void number_groups();
  void order_steps();
  void freeze(const Frozen& frozen);
  void bind_output(const std::string& name, graph::NodeId id);
  void bind_output(const Array& array, const std::string& name, graph::NodeId id, std::int64_t part);
  bool may_overwrite(graph::NodeId input, int writer, graph::NodeId source) const;
  void find_stored();
  Array& bind(const graph::Node& node, const std::string& name);
  bool varies(graph::NodeId id) const { return varies_[static_cast<std::size_t>(graph_.storage(id))]; }
  std::int64_t runs(int group) const;
  int time(int group, std::int64_t part) const;
  std::size_t slot(graph::NodeId source, std::int64_t part) const;

  struct PendingCopy {
    graph::NodeId from;
    std::int64_t part;
    std::byte* to;
    std::size_t bytes;
  };

  const graph::Graph& graph_;
  const graph::Schedule& schedule_;
  const graph::Target& target_;
  State& state_;
  const Parts& parts_;
  Memory& memory_;
  std::vector<int> group_;     // of each node, -1 = none
  std::vector<bool> varies_;   // of each node: whether it depends on the part
  std::vector<bool> by_part_;  // of each group: whether it is computed for each part
  std::vector<bool> reduces_;  // of each group: whether it is an all_reduce
  std::vector<Step> steps_;
  std::vector<int> first_step_;     // of each group: its step for part 0
  std::vector<int> later_steps_;    // of each group and part above 0
  std::vector<int> last_read_;      // of each node that owns memory: the last step that reads it
  std::vector<bool> frozen_nodes_;  // of each node that owns memory
  std::vector<bool> kept_;          // frozen, and read by kernels that are not
  std::vector<bool> stored_;
  // By slot: of each node that owns memory, and for each part above 0 of those that are computed for each part.
  std::vector<std::byte*> address_;
  std::vector<int> last_use_;  // the last step that reads it outside of its own group; -1 = not stored
  std::vector<std::byte*> workspaces_;
  std::vector<PendingCopy> pending_copies_;
  std::vector<Copy> copies_before_, copies_after_;
  std::vector<Buffer> buffers_;
};

}  // namespace gan::runtime
