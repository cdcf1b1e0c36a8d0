#include <algorithm>
#include <set>

#include "passes/pass.h"

namespace gan::passes {

using graph::DType;
using graph::Graph;
using graph::Group;
using graph::Node;
using graph::NodeId;
using graph::Schedule;

namespace {

/// More nodes than this in one group would no longer keep its tiles in the L1 cache.
constexpr std::size_t kLargestGroup = 40;

/// oneDNN takes 32 post-ops.
constexpr std::size_t kLongestEpilogue = 16;

/// Visits nodes in graph order. Contractions become kernels at once, with their epilogue. Elementwise nodes wait in a
/// pending set until something that cannot join them needs their value; a node that reads two sets of its own shape
/// makes one of them. What is pending has readers in its own set alone, so sets never wait for each other.
class Scheduler {
 public:
  Scheduler(const Graph& graph, bool fuse_epilogue, bool fuse_elementwise)
      : graph_(graph),
        fuse_epilogue_(fuse_epilogue),
        fuse_elementwise_(fuse_elementwise),
        uses_(graph::count_uses(graph)),
        group_(graph.nodes().size(), -1),
        pending_(graph.nodes().size(), -1),
        stored_(graph.nodes().size(), false) {
    for (const auto& [name, id] : graph.outputs()) stored_[index(storage(id))] = true;
    for (const Node& node : graph.nodes())
      for (NodeId input : node.inputs)
        if (!node.op->elementwise() || graph.node(input).type.shape != node.type.shape || input != storage(input))
          stored_[index(storage(input))] = true;
  }

  Schedule run() {
    for (const Node& node : graph_.nodes()) {
      if (!node.op || node.is_view() || node.is_constant() || group_[index(node.id)] >= 0) continue;
      if (node.op->elementwise() && fuse_elementwise_)
        visit_elementwise(node);
      else
        visit_kernel(node);
    }
    for (std::size_t set = 0; set < sets_.size(); ++set) emit(static_cast<int>(set));
    return {std::move(groups_)};
  }

 private:
  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

  NodeId storage(NodeId id) const { return graph_.storage(id); }

  /// Makes a kernel of a pending set, at the end of the schedule so far.
  void emit(int set) {
    if (set < 0 || sets_[static_cast<std::size_t>(set)].empty()) return;
    std::vector<NodeId>& nodes = sets_[static_cast<std::size_t>(set)];
    std::sort(nodes.begin(), nodes.end());
    for (NodeId id : nodes) {
      group_[index(id)] = static_cast<int>(groups_.size());
      pending_[index(id)] = -1;
    }
    groups_.push_back({std::move(nodes)});
    nodes.clear();
  }

  void emit_operand(NodeId input) { emit(pending_[index(storage(input))]); }

  void visit_kernel(const Node& root) {
    std::vector<NodeId> nodes{root.id};
    if (fuse_epilogue_ && root.op->epilogue && root.op->epilogue(graph_, root)) follow_epilogue(root, nodes);
    for (NodeId id : nodes)
      for (NodeId input : graph_.node(id).inputs) emit_operand(input);
    for (NodeId id : nodes) group_[index(id)] = static_cast<int>(groups_.size());
    groups_.push_back({std::move(nodes)});
  }

  /// Follows the result of a contraction as long as one elementwise op of the same shape is its only reader.
  void follow_epilogue(const Node& root, std::vector<NodeId>& nodes) const {
    for (NodeId last = root.id; uses_[index(last)] == 1 && nodes.size() < kLongestEpilogue;) {
      const Node* reader = only_reader(last);
      if (!reader || !reader->op->post_op || reader->type.shape != root.type.shape) return;
      if (!operands_fit(*reader, root.id, last)) return;
      // Kernels of f32 operands store f32.
      if (reader->type.dtype != graph_.node(root.inputs[0]).type.dtype && reader->type.dtype != DType::f32) return;
      nodes.push_back(reader->id);
      last = reader->id;
      if (reader->type.dtype != DType::f32) return;
    }
  }

  const Node* only_reader(NodeId id) const {
    for (std::size_t i = index(id) + 1; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end()) return &node;
    }
    return nullptr;
  }

  /// Whether all operands but `chain` precede `root` and are one number, one number a column, or of full shape, which
  /// is what the kernels can apply.
  bool operands_fit(const Node& node, NodeId root, NodeId chain) const {
    const graph::Shape& shape = node.type.shape;
    for (NodeId input : node.inputs) {
      if (input == chain) continue;
      const Node& operand = graph_.node(input);
      const std::int64_t elements = operand.type.elements();
      const auto is_row = [&] { return elements == shape.back() && operand.type.shape.back() == shape.back(); };
      if (operand.type.dtype != DType::f32) return false;
      if (elements != 1 && !is_row() && operand.type.shape != shape) return false;
      if (storage(input) > root && operand.op && !operand.is_constant()) return false;
    }
    return true;
  }

  void visit_elementwise(const Node& node) {
    std::set<int> sets;
    std::size_t size = 1;
    for (NodeId input : node.inputs) {
      const int set = pending_[index(storage(input))];
      if (set < 0) continue;
      if (!passes_in_register(input, node)) {
        emit(set);
        continue;
      }
      if (sets.insert(set).second) size += sets_[static_cast<std::size_t>(set)].size();
    }
    std::erase_if(sets, [&](int set) { return sets_[static_cast<std::size_t>(set)].empty(); });
    if (sets.empty() && stored_[index(node.id)] && join_maker(node)) return;
    if (size > kLargestGroup) {
      for (int set : sets) emit(set);
      sets.clear();
    }
    const int target = sets.empty() ? static_cast<int>(sets_.size()) : *sets.begin();
    if (sets.empty()) sets_.emplace_back();
    std::vector<NodeId>& nodes = sets_[static_cast<std::size_t>(target)];
    for (int set : sets) {
      if (set == target) continue;
      std::vector<NodeId>& other = sets_[static_cast<std::size_t>(set)];
      for (NodeId id : other) pending_[index(id)] = target;
      nodes.insert(nodes.end(), other.begin(), other.end());
      other.clear();
    }
    nodes.push_back(node.id);
    pending_[index(node.id)] = target;
  }

  /// Whether a node may read an operand from a register of its own kernel: not if it is repeated or reshaped, so that a
  /// tile of the result does not lie in a tile of the operand, and not if it is bf16, which only memory rounds.
  bool passes_in_register(NodeId input, const Node& node) const {
    const Node& operand = graph_.node(input);
    if (operand.type.dtype == DType::bf16 && !node.op->sign_only) return false;
    return input == storage(input) && operand.type.shape == node.type.shape;
  }

  /// A node whose value is stored anyway joins the kernel that made its operand, if that starts after all its other
  /// operands are made: the operand need not be read again.
  bool join_maker(const Node& node) {
    int latest = -1;
    for (NodeId input : node.inputs) latest = std::max(latest, group_[index(storage(input))]);
    if (latest < 0) return false;
    std::vector<NodeId>& nodes = groups_[static_cast<std::size_t>(latest)].nodes;
    const Node& first = graph_.node(nodes[0]);
    if (!first.op->elementwise() || first.type.shape != node.type.shape || nodes.size() >= kLargestGroup) return false;
    for (NodeId input : node.inputs)
      if (group_[index(storage(input))] == latest && !passes_in_register(input, node)) return false;
    group_[index(node.id)] = latest;
    nodes.push_back(node.id);
    return true;
  }

  const Graph& graph_;
  bool fuse_epilogue_, fuse_elementwise_;
  std::vector<int> uses_;
  std::vector<int> group_;    // of each node: its kernel, -1 = none yet
  std::vector<int> pending_;  // of each node: its pending set, -1 = none
  std::vector<bool> stored_;  // whether something other than a chain reads the node
  std::vector<std::vector<NodeId>> sets_;
  std::vector<Group> groups_;
};

}  // namespace

Schedule schedule(const Graph& graph, bool fuse_epilogue, bool fuse_elementwise) {
  return Scheduler(graph, fuse_epilogue, fuse_elementwise).run();
}

}  // namespace gan::passes
