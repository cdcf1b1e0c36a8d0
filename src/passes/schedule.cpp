#include <algorithm>
#include <map>

#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Group;
using graph::Node;
using graph::NodeId;
using graph::Schedule;

namespace {

/// More nodes than this in one group would no longer keep its tiles in the L1 cache.
constexpr std::size_t kLargestGroup = 40;

bool is_constant(const Node& node) { return node.op && node.op->name == "constant"; }

class Scheduler {
 public:
  explicit Scheduler(const Graph& graph) : graph_(graph), group_(graph.nodes().size(), -1) {}

  void start_group(const Node& node) {
    group_[index(node.id)] = static_cast<int>(groups_.size());
    groups_.push_back({{node.id}});
  }

  void fuse_epilogue(const Node& root) {
    start_group(root);
    Group& group = groups_.back();
    const std::vector<int> uses = graph::count_uses(graph_);
    NodeId last = root.id;
    // Follow the result as long as one elementwise op of the same shape is its only reader.
    while (uses[index(last)] == 1) {
      const Node* reader = only_reader(last);
      if (!reader || !reader->op->post_op || reader->type.shape != root.type.shape) return;
      if (!operands_ready(*reader, root.id, last)) return;
      // Kernels of f32 operands store f32.
      if (reader->type.dtype != graph_.node(root.inputs[0]).type.dtype && reader->type.dtype != graph::DType::f32) return;
      group.nodes.push_back(reader->id);
      group_[index(reader->id)] = static_cast<int>(groups_.size()) - 1;
      last = reader->id;
      if (reader->type.dtype != graph::DType::f32) return;
    }
  }

  /// Puts an elementwise node into the last group that it can join: one that makes or reads one of its operands, when
  /// all its other operands exist before that group starts.
  void fuse_elementwise(const Node& node) {
    int earliest = -1;  // the group must not start before these operands are made
    std::vector<int> candidates;
    for (NodeId input : node.inputs) {
      const int maker = group_of(input);
      if (maker >= 0 && joinable(maker, node)) candidates.push_back(maker);
      if (graph_.node(input).type.shape != node.type.shape) continue;
      for (int reader : readers_[input])
        if (joinable(reader, node)) candidates.push_back(reader);
    }
    std::sort(candidates.rbegin(), candidates.rend());
    for (NodeId input : node.inputs) earliest = std::max(earliest, group_of(input));
    for (int candidate : candidates) {
      if (earliest > candidate) continue;
      bool ready = true;
      for (NodeId input : node.inputs)
        // Operands made in the group itself must have the full shape: a tile is computed at a time.
        if (group_of(input) == candidate && made_by_view(input)) ready = false;
      if (!ready) continue;
      groups_[static_cast<std::size_t>(candidate)].nodes.push_back(node.id);
      group_[index(node.id)] = candidate;
      note_reads(node, candidate);
      return;
    }
    start_group(node);
    elementwise_.resize(groups_.size(), false);
    elementwise_.back() = true;
    note_reads(node, static_cast<int>(groups_.size()) - 1);
  }

  bool assigned(NodeId id) const { return group_[index(id)] >= 0; }
  Schedule take() { return {std::move(groups_)}; }

 private:
  static std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

  bool made_by_view(NodeId id) const { return graph_.node(id).op && graph_.node(id).op->view; }

  /// The group that makes a node's value, looking through views; -1 for inputs and constants.
  int group_of(NodeId id) const {
    const Node* node = &graph_.node(id);
    while (node->op && node->op->view) node = &graph_.node(node->inputs[0]);
    return group_[index(node->id)];
  }

  const Node* only_reader(NodeId id) const {
    for (std::size_t i = index(id) + 1; i < graph_.nodes().size(); ++i) {
      const Node& node = graph_.nodes()[i];
      if (std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end()) return &node;
    }
    return nullptr;
  }

  /// Whether all operands but `chain` exist before the group of `root`, which is the last group, starts, and are one
  /// number, one number a column, or of full shape, which is what the kernels can apply.
  bool operands_ready(const Node& node, NodeId root, NodeId chain) const {
    const graph::Shape& shape = node.type.shape;
    for (NodeId input : node.inputs) {
      if (input == chain) continue;
      const Node& operand = graph_.node(input);
      const std::int64_t elements = operand.type.elements();
      const auto is_row = [&] { return elements == shape.back() && operand.type.shape.back() == shape.back(); };
      if (operand.type.dtype != graph::DType::f32) return false;
      if (elements != 1 && !is_row() && operand.type.shape != shape) return false;
      if (!operand.op || is_constant(operand)) continue;
      const int maker = group_of(input);
      const bool from_input = maker < 0 && input < root;  // a view of an input
      if (!from_input && (maker < 0 || maker == static_cast<int>(groups_.size()) - 1)) return false;
    }
    return true;
  }

  bool joinable(int number, const Node& node) const {
    const auto i = static_cast<std::size_t>(number);
    return i < elementwise_.size() && elementwise_[i] && groups_[i].nodes.size() < kLargestGroup &&
           graph_.node(groups_[i].nodes[0]).type.shape == node.type.shape;
  }

  void note_reads(const Node& node, int number) {
    for (NodeId input : node.inputs) readers_[input].push_back(number);
  }

  const Graph& graph_;
  std::vector<int> group_;  // of each node; -1 = none (yet)
  std::vector<Group> groups_;
  std::vector<bool> elementwise_;
  std::map<NodeId, std::vector<int>> readers_;  // elementwise groups that read a node
};

}  // namespace

Schedule schedule(const Graph& graph, bool fuse_epilogue, bool fuse_elementwise) {
  Scheduler scheduler(graph);
  for (const Node& node : graph.nodes()) {
    if (!node.op || node.op->view || is_constant(node) || scheduler.assigned(node.id)) continue;
    if (node.op->epilogue && fuse_epilogue)
      scheduler.fuse_epilogue(node);
    else if (node.op->elementwise() && fuse_elementwise)
      scheduler.fuse_elementwise(node);
    else
      scheduler.start_group(node);
  }
  return scheduler.take();
}

}  // namespace gan::passes
