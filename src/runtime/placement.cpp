#include "runtime/placement.h"

#include <algorithm>

#include "base/bf16.h"
#include "base/error.h"
#include "runtime/memory_plan.h"

namespace gan::runtime {

using graph::DType;
using graph::Group;
using graph::Node;
using graph::NodeId;

std::byte* Arena::reserve(std::size_t bytes, Memory& memory) {
  for (const Buffer& block : blocks_)
    if (block.size() >= bytes && &block.memory() == &memory) return block.data();
  return blocks_.emplace_back(bytes, memory).data();
}

namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

/// A bf16 copy of an f32 array.
Array rounded(const Array& exact) {
  Array out({DType::bf16, exact.type().shape});
  const Array host = exact.on_host();
  std::ranges::transform(host.f32(), out.bf16().begin(), base::to_bf16);
  return out;
}

}  // namespace

Placement::Placement(const graph::Graph& graph, const graph::Schedule& schedule, const graph::Target& target,
                     State& state, const Frozen& frozen, Memory& memory)
    : graph_(graph),
      schedule_(schedule),
      target_(target),
      state_(state),
      memory_(memory),
      address_(graph.nodes().size(), nullptr),
      group_(graph.nodes().size(), -1),
      last_read_(graph.nodes().size(), -1),
      last_use_(graph.nodes().size(), -1),
      frozen_nodes_(graph.nodes().size(), false),
      kept_(graph.nodes().size(), false),
      stored_(graph.nodes().size(), false),
      workspaces_(schedule.groups.size(), nullptr) {
  number_groups();
  freeze(frozen);
  for (const auto& [name, id] : graph.inputs()) address_[index(id)] = bind(graph.node(id), name).bytes();
  for (const auto& [name, id] : graph.outputs()) bind_output(name, id);
  find_stored();
}

/// The entry of the state with this name and the node's type, in the backend's memory.
Array& Placement::bind(const Node& node, const std::string& name) {
  const auto found = state_.find(name);
  if (found == state_.end()) {
    Array& made = state_[name];
    if (node.rounded_from.empty()) return made = Array(node.type, memory_);
    const auto exact = state_.find(node.rounded_from);
    if (exact == state_.end())
      base::fail_usage("the graph reads {}, but there is no {} to be rounded", name, node.rounded_from);
    return made = rounded(exact->second).in(memory_);
  }
  if (found->second.type() != node.type)
    base::fail_usage("{} is {}, the graph expects {}", name, to_string(found->second.type()), to_string(node.type));
  return found->second = found->second.in(memory_);
}

void Placement::number_groups() {
  for (std::size_t i = 0; i < schedule_.groups.size(); ++i)
    for (NodeId id : schedule_.groups[i].nodes) group_[index(id)] = static_cast<int>(i);
  for (std::size_t i = 0; i < schedule_.groups.size(); ++i)
    for (NodeId id : schedule_.groups[i].nodes)
      for (NodeId input : graph_.node(id).inputs) {
        int& last = last_read_[index(graph_.storage(input))];
        last = std::max(last, static_cast<int>(i));
      }
}

/// Finds the nodes that depend on frozen inputs and constants only. A kernel is frozen as a whole or not at all.
void Placement::freeze(const Frozen& frozen) {
  if (frozen.inputs.empty()) return;
  for (const std::string& name : frozen.inputs) {
    const auto input = graph_.inputs().find(name);
    if (input == graph_.inputs().end()) base::fail_usage("frozen input {}: the graph has none of this name", name);
    if (graph_.outputs().count(name)) base::fail_usage("frozen input {}: the graph gives it a next value", name);
    if (!state_.count(name)) base::fail_usage("frozen input {}: the state has no value for it", name);
    frozen_nodes_[index(input->second)] = true;
  }
  for (const Node& node : graph_.nodes())
    if (node.is_constant()) frozen_nodes_[index(node.id)] = true;
  for (std::size_t i = 0; i < schedule_.groups.size(); ++i) {
    const std::vector<NodeId>& nodes = schedule_.groups[i].nodes;
    const bool all = std::ranges::all_of(nodes, [&](NodeId id) {
      return std::ranges::all_of(graph_.node(id).inputs, [&](NodeId input) {
        const NodeId source = graph_.storage(input);
        return frozen_nodes_[index(source)] || group_[index(source)] == static_cast<int>(i);
      });
    });
    for (NodeId id : nodes) frozen_nodes_[index(id)] = all;
  }
}

/// Decides where an output is computed: in its entry of the state if that is safe, else elsewhere, to be copied there.
void Placement::bind_output(const std::string& name, NodeId id) {
  const NodeId source = graph_.storage(id);
  const Array& array = bind(graph_.node(id), name);
  const int writer = group_[index(source)];
  const bool whole = graph_.node(id).type.elements() == graph_.node(source).type.elements();
  const auto old = graph_.inputs().find(name);
  if (writer < 0) {
    // The output is an input or a constant under another name. Kernels may overwrite the input, so it is staged first.
    std::byte* const from = address(id);
    if (from == array.bytes()) return;
    std::byte* const staging = buffers_.emplace_back(array.size_bytes(), memory_).data();
    copies_before_.push_back({from, staging, array.size_bytes()});
    copies_after_.push_back({staging, array.bytes(), array.size_bytes()});
    return;
  }
  // A frozen value is computed once, so it must not be kept in the state only, where other programs may overwrite it.
  const bool elsewhere = address_[index(source)] != nullptr || frozen_nodes_[index(source)] || !whole;
  if (!elsewhere && (old == graph_.inputs().end() || may_overwrite(old->second, writer, source)))
    address_[index(source)] = array.bytes();
  else
    pending_copies_.push_back({id, array.bytes(), array.size_bytes()});
}

/// Whether the group `writer` may write a next value over an input: no later kernel reads the input, and the writer
/// reads element i of it only to compute element i.
bool Placement::may_overwrite(NodeId input, int writer, NodeId source) const {
  const int last = last_read_[index(input)];
  if (last != writer) return last < writer;
  const Group& group = schedule_.groups[static_cast<std::size_t>(writer)];
  if (group.root >= 0 && !runs_chain(target_, graph_, graph_.node(group.root))) return false;
  if (graph_.node(source).type != graph_.node(input).type) return false;
  for (NodeId id : group.nodes)
    for (NodeId read : graph_.node(id).inputs)
      if (graph_.storage(read) == input &&
          (id == group.root || graph_.node(read).type.shape != graph_.node(id).type.shape))
        return false;
  return true;
}

/// A node is stored if an output, another group or a view reads it, if it is a sum in a chain, or if it is the result
/// of a kernel without a chain, even if nothing reads that.
void Placement::find_stored() {
  const int end = static_cast<int>(schedule_.groups.size());
  for (const Node& node : graph_.nodes()) {
    const int reader = group_[index(node.id)];
    for (NodeId input : node.inputs) {
      const NodeId source = graph_.storage(input);
      const bool inside = reader >= 0 && reader == group_[index(source)] && source == input;
      if (!inside && reader >= 0) last_use_[index(source)] = std::max(last_use_[index(source)], reader);
      if (reader >= 0 && frozen_nodes_[index(source)] && !frozen_nodes_[index(node.id)]) kept_[index(source)] = true;
    }
  }
  for (const PendingCopy& copy : pending_copies_) {
    const NodeId source = graph_.storage(copy.from);
    last_use_[index(source)] = end;
    kept_[index(source)] = frozen_nodes_[index(source)];
  }
  for (int i = 0; i < end; ++i) {
    const Group& group = schedule_.groups[static_cast<std::size_t>(i)];
    const bool chain =
        group.root < 0 || (group.nodes.size() > 1 && runs_chain(target_, graph_, graph_.node(group.root)));
    for (NodeId id : group.nodes) {
      const bool sum = id != group.root && !graph_.node(id).op->elementwise();
      if (sum || (!chain && id == group.nodes.back())) last_use_[index(id)] = std::max(last_use_[index(id)], i);
    }
  }
  for (std::size_t i = 0; i < stored_.size(); ++i) stored_[i] = address_[i] || last_use_[i] >= 0;
}

void Placement::plan(const std::vector<std::size_t>& workspaces, Arena& arena) {
  std::vector<Lifetime> lifetimes;
  std::vector<std::byte**> owners;
  for (const Node& node : graph_.nodes()) {
    std::byte*& address = address_[index(node.id)];
    if (!node.op || node.is_view() || node.is_constant() || !stored_[index(node.id)] || address) continue;
    if (kept_[index(node.id)]) {
      address = buffers_.emplace_back(node.type.bytes(), memory_).data();
      continue;
    }
    lifetimes.push_back({node.type.bytes(), group_[index(node.id)], last_use_[index(node.id)]});
    owners.push_back(&address);
  }
  for (std::size_t i = 0; i < workspaces.size(); ++i) {
    if (workspaces[i] == 0) continue;
    lifetimes.push_back({workspaces[i], static_cast<int>(i), static_cast<int>(i)});
    owners.push_back(&workspaces_[i]);
  }
  const MemoryPlan plan = plan_memory(lifetimes);
  std::byte* base = arena.reserve(plan.bytes, memory_);
  for (std::size_t i = 0; i < owners.size(); ++i) *owners[i] = base + plan.offsets[i];
  for (const PendingCopy& copy : pending_copies_) copies_after_.push_back({address(copy.from), copy.to, copy.bytes});
}

std::byte* Placement::address(NodeId id) {
  const NodeId source = graph_.storage(id);
  const Node& node = graph_.node(source);
  if (node.is_constant() && !address_[index(source)]) {
    const std::vector<float> values(static_cast<std::size_t>(node.type.elements()),
                                    static_cast<float>(node.attributes.real("value")));
    address_[index(source)] = buffers_.emplace_back(node.type.bytes(), memory_).data();
    memory_.write(values.data(), address_[index(source)], node.type.bytes());
  }
  if (!address_[index(source)]) base::fail_run("node %{} has no place in memory", id);
  return address_[index(source)] +
         static_cast<std::size_t>(graph_.offset_in_storage(id)) * size_of(graph_.node(id).type.dtype);
}

}  // namespace gan::runtime
