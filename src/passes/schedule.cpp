#include <algorithm>
#include <numeric>
#include <set>

#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::DType;
using graph::Graph;
using graph::Group;
using graph::Node;
using graph::NodeId;
using graph::Schedule;

namespace {

/// Tensors of at most this many elements are small compared with activations and weights.
constexpr std::int64_t kSmallTensor = 16384;

/// Visits nodes in graph order, small ones earlier. Contractions become kernels at once, with their epilogue.
/// Elementwise nodes collect in pending sets until a node that cannot join needs their value. A node that reads two
/// sets of its shape merges them; sums over rows may end a set. Sets never depend on each other: every visited reader
/// of a pending node is in the same set.
class Scheduler {
 public:
  Scheduler(const Graph& graph, const graph::Target& target, const Fusion& fusion)
      : graph_(graph),
        target_(target),
        fusion_(fusion),
        uses_(graph::count_uses(graph)),
        readers_(graph.nodes().size()),
        group_(graph.nodes().size(), -1),
        pending_(graph.nodes().size(), -1),
        stored_(graph.nodes().size(), false) {
    for (const auto& [name, id] : graph.outputs()) stored_[index(storage(id))] = true;
    for (const Node& node : graph.nodes())
      for (NodeId input : node.inputs) readers_[index(input)].push_back(node.id);
    for (const Node& node : graph.nodes())
      for (NodeId input : node.inputs)
        if (!node.op->elementwise() || !passes_in_register(input, node)) stored_[index(storage(input))] = true;
  }

  Schedule run() {
    for (const NodeId id : order_of_visits()) {
      const Node& node = graph_.node(id);
      if (node.is_view() || group_[index(node.id)] >= 0) continue;
      if ((node.op->elementwise() && fusion_.elementwise) || is_summed_in_chain(node))
        visit_elementwise(node);
      else if (is_followed_by_chain(node))
        visit_product(node);
      else
        visit_kernel(node);
    }
    for (std::size_t set = 0; set < sets_.size(); ++set) emit(static_cast<int>(set));
    order_by_phase();
    return {std::move(groups_)};
  }

 private:
  /// `id` of a node, set or group as an index.
  static std::size_t index(std::int32_t id) { return static_cast<std::size_t>(id); }

  NodeId storage(NodeId id) const { return graph_.storage(id); }

  /// Graph order, except that small nodes with small inputs follow their last input at once, so that chains over whole
  /// matrices need not wait for them. Readers of a sum that ends such a chain are not moved: they would end it too
  /// soon.
  std::vector<NodeId> order_of_visits() const {
    std::vector<std::size_t> missing(graph_.nodes().size(), 0);  // inputs of each node that are not visited yet
    const auto is_given = [&](NodeId id) { return !graph_.node(id).op || graph_.node(id).is_constant(); };
    for (const Node& node : graph_.nodes())
      missing[index(node.id)] =
          static_cast<std::size_t>(std::ranges::count_if(node.inputs, [&](NodeId input) { return !is_given(input); }));
    const auto is_small = [&](NodeId id) {
      const Node& node = graph_.node(id);
      return node.type.elements() <= kSmallTensor &&
             (node.op != &ops::sum_op || graph_.node(node.inputs[0]).type.elements() <= kSmallTensor);
    };
    const auto may_come_early = [&](const Node& node) {
      return !node.op->contraction && is_small(node.id) && std::ranges::all_of(node.inputs, is_small);
    };
    std::vector<bool> visited(graph_.nodes().size(), false);
    std::vector<NodeId> order;
    std::set<NodeId> ready;
    for (const Node& node : graph_.nodes())
      if (!is_given(node.id) && missing[index(node.id)] == 0 && may_come_early(node)) ready.insert(node.id);
    for (const Node& first : graph_.nodes()) {
      if (is_given(first.id) || visited[index(first.id)]) continue;
      for (ready.insert(first.id); !ready.empty();) {
        const NodeId id = *ready.begin();
        ready.erase(ready.begin());
        visited[index(id)] = true;
        order.push_back(id);
        for (const NodeId reader : readers_[index(id)])
          if (--missing[index(reader)] == 0 && may_come_early(graph_.node(reader))) ready.insert(reader);
      }
    }
    return order;
  }

  /// Appends the nodes of a pending set to the schedule as one kernel.
  void emit(int set) {
    if (set < 0 || sets_[index(set)].empty()) return;
    std::vector<NodeId>& nodes = sets_[index(set)];
    std::sort(nodes.begin(), nodes.end());
    for (NodeId id : nodes) {
      group_[index(id)] = static_cast<int>(groups_.size());
      pending_[index(id)] = -1;
    }
    const auto product = std::ranges::find_if(nodes, [&](NodeId id) { return is_product(id); });
    groups_.push_back({nodes, product == nodes.end() ? -1 : *product});
    nodes.clear();
  }

  /// Puts all that waits for no all_reduce first, then the all_reduces of it, then what waits for these, and so on:
  /// parts of a batch that run one after the other then keep little until the others are done, and ranks meet seldom.
  void order_by_phase() {
    std::vector<int> phase(groups_.size(), 0);  // twice the all_reduces on the longest way, plus 1 for an all_reduce
    const auto reduces = [&](const Group& group) {
      return group.root >= 0 && graph_.node(group.root).op == &ops::all_reduce_op;
    };
    if (std::ranges::none_of(groups_, reduces)) return;
    for (std::size_t i = 0; i < groups_.size(); ++i) {
      for (NodeId id : groups_[i].nodes)
        for (NodeId input : graph_.node(id).inputs) {
          const int source = group_[index(storage(input))];
          if (source >= 0 && index(source) != i) phase[i] = std::max(phase[i], (phase[index(source)] + 1) / 2 * 2);
        }
      if (reduces(groups_[i])) ++phase[i];
    }
    std::vector<std::size_t> order(groups_.size());
    std::iota(order.begin(), order.end(), std::size_t{0});
    std::ranges::stable_sort(order, {}, [&](std::size_t i) { return phase[i]; });
    std::vector<Group> ordered;
    for (const std::size_t i : order) ordered.push_back(std::move(groups_[i]));
    groups_ = std::move(ordered);
  }

  void emit_operand(NodeId input) { emit(pending_[index(storage(input))]); }

  void visit_kernel(const Node& root) {
    std::vector<NodeId> nodes{root.id};
    if (fusion_.epilogue && has_epilogue(target_, graph_, root)) follow_epilogue(root, nodes);
    for (NodeId id : nodes)
      for (NodeId input : graph_.node(id).inputs) emit_operand(input);
    for (NodeId id : nodes) group_[index(id)] = static_cast<int>(groups_.size());
    groups_.push_back({std::move(nodes), root.op->elementwise() ? -1 : root.id});
  }

  bool is_product(NodeId id) const { return graph_.node(id).op->contraction; }

  /// Whether this is a sum that the chain of its operand can compute.
  bool is_summed_in_chain(const Node& node) const {
    if (!fusion_.elementwise || !fusion_.chain || node.op != &ops::sum_op) return false;
    const Node& operand = graph_.node(node.inputs[0]);
    return operand.op && operand.op->elementwise() && is_sum_of_rows(target_, graph_, node);
  }

  /// Whether this is a contraction whose kernel runs a chain on its result.
  bool is_followed_by_chain(const Node& node) const {
    return fusion_.epilogue && fusion_.elementwise && fusion_.chain && runs_chain(target_, graph_, node);
  }

  /// Keeps such a contraction pending for its readers if they reduce its result to bf16; else it becomes a kernel.
  void visit_product(const Node& node) {
    for (NodeId input : node.inputs) emit_operand(input);
    const int set = static_cast<int>(sets_.size());
    pending_[index(node.id)] = set;
    sets_.push_back({node.id});
    if (!is_rounded(node)) emit(set);
  }

  /// Whether elementwise readers lead from a node to a bf16 result without reading another f32 tensor of full size.
  bool is_rounded(const Node& node) const {
    return std::ranges::any_of(readers_[index(node.id)], [&](NodeId id) {
      const Node& reader = graph_.node(id);
      if (!reader.op->elementwise() || !passes_in_register(node.id, reader)) return false;
      for (NodeId input : reader.inputs)
        if (input != node.id && comes_from_memory(input, reader)) return false;
      return reader.type.dtype == DType::bf16 || is_rounded(reader);
    });
  }

  /// Whether an operand, or an operand of the chain that computes it, is an f32 tensor of full size.
  bool comes_from_memory(NodeId input, const Node& reader) const {
    const Node& operand = graph_.node(input);
    if (operand.type.dtype == DType::bf16) return false;
    if (!operand.op || !operand.op->elementwise() || !passes_in_register(input, reader)) return is_large(input, reader);
    return std::ranges::any_of(operand.inputs, [&](NodeId id) { return comes_from_memory(id, operand); });
  }

  bool is_large(NodeId input, const Node& reader) const {
    const Node& operand = graph_.node(input);
    return operand.type.dtype == DType::f32 && !operand.is_constant() &&
           operand.type.elements() == reader.type.elements();
  }

  /// Whether a node reads an f32 tensor of full size from memory. Products do not join such chains: they run them in
  /// pieces, whose rows are too short for the hardware prefetcher.
  bool reads_memory(const Node& node) const {
    return node.op->elementwise() && std::ranges::any_of(node.inputs, [&](NodeId input) {
             return pending_[index(storage(input))] < 0 && is_large(input, node);
           });
  }

  bool reads_memory(int set) const {
    return std::ranges::any_of(sets_[index(set)], [&](NodeId id) { return reads_memory(graph_.node(id)); });
  }

  bool has_product(int set) const {
    return std::ranges::any_of(sets_[index(set)], [&](NodeId id) { return is_product(id); });
  }

  /// Appends the epilogue of a contraction: elementwise ops of its shape, each the only reader of the one before.
  void follow_epilogue(const Node& root, std::vector<NodeId>& nodes) const {
    for (NodeId last = root.id; uses_[index(last)] == 1 && nodes.size() < target_.longest_epilogue;) {
      // A single use without a reader is an output.
      const Node* reader = readers_[index(last)].empty() ? nullptr : &graph_.node(readers_[index(last)][0]);
      if (!reader || !target_.in_epilogue(reader->op->instruction) || reader->type.shape != root.type.shape) return;
      if (!operands_fit(*reader, last)) return;
      // Kernels of f32 operands store f32.
      if (reader->type.dtype != graph_.node(root.inputs[0]).type.dtype && reader->type.dtype != DType::f32) return;
      nodes.push_back(reader->id);
      last = reader->id;
      if (reader->type.dtype != DType::f32) return;
    }
  }

  /// Whether all operands but `chain` are computed already and are f32 scalars, rows or of full shape, as epilogues
  /// need.
  bool operands_fit(const Node& node, NodeId chain) const {
    const graph::Shape& shape = node.type.shape;
    for (NodeId input : node.inputs) {
      if (input == chain) continue;
      const Node& operand = graph_.node(input);
      const std::int64_t elements = operand.type.elements();
      const auto is_row = [&] { return elements == shape.back() && operand.type.shape.back() == shape.back(); };
      if (operand.type.dtype != DType::f32) return false;
      if (target_.epilogue_operands_are_rows && !is_row()) return false;
      if (elements != 1 && !is_row() && operand.type.shape != shape) return false;
      const Node& source = graph_.node(storage(input));
      const bool visited = group_[index(source.id)] >= 0 || pending_[index(source.id)] >= 0;
      if (source.op && !source.is_constant() && !visited) return false;
    }
    return true;
  }

  void visit_elementwise(const Node& node) {
    std::set<int> sets;
    for (NodeId input : node.inputs) {
      const int set = pending_[index(storage(input))];
      if (set >= 0 && !passes_in_register(input, node)) emit(set);
      if (set >= 0) sets.insert(set);
    }
    // A kernel computes at most one product, and none if its chain reads f32 tensors of full size.
    const auto products = std::ranges::count_if(sets, [&](int set) { return has_product(set); });
    const bool memory = reads_memory(node) || std::ranges::any_of(sets, [&](int set) { return reads_memory(set); });
    if (products > 1 || (products == 1 && memory))
      for (int set : sets)
        if (has_product(set)) emit(set);
    std::erase_if(sets, [&](int set) { return sets_[index(set)].empty(); });
    std::size_t size = 1;
    for (int set : sets) size += sets_[index(set)].size();
    if (size > target_.longest_chain) {
      for (int set : sets) emit(set);
      sets.clear();
    }
    if (sets.empty() && (stored_[index(node.id)] || !node.op->elementwise())) {
      if (join_kernel_of_operand(node)) return;
      if (!node.op->elementwise()) return visit_kernel(node);  // the operand of the sum is in memory
    }
    const int merged = sets.empty() ? static_cast<int>(sets_.size()) : *sets.begin();
    if (sets.empty()) sets_.emplace_back();
    std::vector<NodeId>& nodes = sets_[index(merged)];
    for (int set : sets) {
      if (set == merged) continue;
      std::vector<NodeId>& other = sets_[index(set)];
      for (NodeId id : other) pending_[index(id)] = merged;
      nodes.insert(nodes.end(), other.begin(), other.end());
      other.clear();
    }
    nodes.push_back(node.id);
    pending_[index(node.id)] = merged;
  }

  /// Whether a node can read an operand of its own kernel from a register. Not if the operand is broadcast or a view,
  /// which changes the index of an element, not if it is bf16, which is rounded by the store only, and not if it is a
  /// sum.
  bool passes_in_register(NodeId input, const Node& node) const {
    const Node& operand = graph_.node(input);
    if (operand.type.dtype == DType::bf16 && !node.op->sign_only) return false;
    if (operand.op == &ops::sum_op) return false;
    return input == storage(input) && (operand.type.shape == node.type.shape || node.op == &ops::sum_op);
  }

  /// Adds a node whose value is stored anyway to the kernel that computes its last operand, so that this operand need
  /// not be read again. Returns false if another operand or the target forbids it.
  bool join_kernel_of_operand(const Node& node) {
    int latest = -1;
    for (NodeId input : node.inputs) latest = std::max(latest, group_[index(storage(input))]);
    if (latest < 0) return false;
    Group& group = groups_[index(latest)];
    std::vector<NodeId>& nodes = group.nodes;
    const Node& first = graph_.node(nodes[0]);
    const bool chain = group.root < 0 || is_followed_by_chain(graph_.node(group.root));
    const graph::Shape& shape = node.op->elementwise() ? node.type.shape : graph_.node(node.inputs[0]).type.shape;
    if (!chain || first.type.shape != shape || nodes.size() >= target_.longest_chain) return false;
    for (NodeId input : node.inputs)
      if (group_[index(storage(input))] == latest && !passes_in_register(input, node)) return false;
    group_[index(node.id)] = latest;
    nodes.push_back(node.id);
    return true;
  }

  const Graph& graph_;
  const graph::Target& target_;
  Fusion fusion_;
  std::vector<int> uses_;
  std::vector<std::vector<NodeId>> readers_;  // of each node
  std::vector<int> group_;                    // of each node: its kernel, -1 = none yet
  std::vector<int> pending_;                  // of each node: its pending set, -1 = none
  std::vector<bool> stored_;                  // whether something reads the node in memory
  std::vector<std::vector<NodeId>> sets_;
  std::vector<Group> groups_;
};

}  // namespace

Schedule schedule(const Graph& graph, const graph::Target& target, const Fusion& fusion) {
  return Scheduler(graph, target, fusion).run();
}

}  // namespace gan::passes
