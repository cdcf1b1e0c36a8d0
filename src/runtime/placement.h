#pragma once

#include <cstddef>
#include <set>
#include <string>
#include <vector>

#include "graph/schedule.h"
#include "graph/target.h"
#include "runtime/array.h"

namespace gan::runtime {

/// Inputs of a graph whose values are there when the program is made and stay. What depends on them alone is computed
/// once, then.
struct Frozen {
  std::set<std::string> inputs;
  bool compact = false;  ///< weights may be rounded to 16 bits where one row is multiplied (Launch::compact)
};

/// Scratch memory that programs run one after another may share.
class Arena {
 public:
  /// At least so many bytes of this memory, at an address that stays.
  std::byte* reserve(std::size_t bytes, Memory& memory);

 private:
  std::vector<Buffer> blocks_;
};

/// Where the values of a graph live while its program runs: in the state if they are inputs or outputs, in place where
/// that is safe, else in an arena, where values that never live together share bytes.
class Placement {
 public:
  /// Binds inputs and outputs to the state, whose entries it makes if they are missing, and decides which nodes are
  /// stored. Throws usage errors if an entry has another type or a frozen input is missing or has a next value.
  Placement(const graph::Graph& graph, const graph::Schedule& schedule, const graph::Target& target, State& state,
            const Frozen& frozen, Memory& memory);

  /// Whether the value of a node is stored; else it passes in a register from node to node of one kernel.
  bool is_stored(graph::NodeId id) const { return stored_[static_cast<std::size_t>(id)]; }
  /// Whether a node depends on frozen inputs and constants alone.
  bool is_frozen(graph::NodeId id) const { return frozen_nodes_[static_cast<std::size_t>(graph_.storage(id))]; }

  /// Gives every stored node an address, and each group its workspace of so many bytes.
  void plan(const std::vector<std::size_t>& workspaces, Arena& arena);

  /// Where a node's value is. A constant is written to memory when it is first wanted there.
  std::byte* address(graph::NodeId id);
  std::byte* workspace(std::size_t group) const { return workspaces_[group]; }

  /// Copies that the program makes before and after its kernels: to outputs that could not be computed in their place.
  struct Copy {
    std::byte *from, *to;
    std::size_t bytes;
  };
  const std::vector<Copy>& copies_before() const { return copies_before_; }
  const std::vector<Copy>& copies_after() const { return copies_after_; }
  /// Memory that belongs to the program: constants, results of frozen nodes.
  std::vector<Buffer> take_buffers() { return std::move(buffers_); }

 private:
  void number_groups();
  void freeze(const Frozen& frozen);
  void bind_output(const std::string& name, graph::NodeId id);
  bool may_overwrite(graph::NodeId input, int writer, graph::NodeId source) const;
  void find_stored();
  Array& bind(const graph::Node& node, const std::string& name);

  struct PendingCopy {
    graph::NodeId from;
    std::byte* to;
    std::size_t bytes;
  };

  const graph::Graph& graph_;
  const graph::Schedule& schedule_;
  const graph::Target& target_;
  State& state_;
  Memory& memory_;
  std::vector<std::byte*> address_;  // of nodes that own memory
  std::vector<int> group_;           // of each node, -1 = none
  std::vector<int> last_read_;       // of each node that owns memory: the last group that reads it
  std::vector<int> last_use_;        // the same, but for readers in the group that computes it; -1 = not stored
  std::vector<bool> frozen_nodes_;   // of each node that owns memory
  std::vector<bool> kept_;           // frozen, and read by kernels that are not
  std::vector<bool> stored_;
  std::vector<std::byte*> workspaces_;
  std::vector<PendingCopy> pending_copies_;
  std::vector<Copy> copies_before_, copies_after_;
  std::vector<Buffer> buffers_;
};

}  // namespace gan::runtime
