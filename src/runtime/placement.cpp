#include "runtime/placement.h"

#include <algorithm>

#include "base/bf16.h"
#include "base/error.h"
#include "ops/ops.h"
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
                     State& state, const Frozen& frozen, const Parts& parts, Memory& memory)
    : graph_(graph),
      schedule_(schedule),
      target_(target),
      state_(state),
      parts_(parts),
      memory_(memory),
      group_(graph.nodes().size(), -1),
      varies_(graph.nodes().size(), false),
      by_part_(schedule.groups.size(), false),
      reduces_(schedule.groups.size(), false),
      first_step_(schedule.groups.size(), 0),
      later_steps_(schedule.groups.size() * static_cast<std::size_t>(parts.count - 1), 0),
      last_read_(graph.nodes().size(), -1),
      frozen_nodes_(graph.nodes().size(), false),
      kept_(graph.nodes().size(), false),
      stored_(graph.nodes().size(), false),
      address_(graph.nodes().size() * static_cast<std::size_t>(parts.count), nullptr),
      last_use_(address_.size(), -1) {
  number_groups();
  order_steps();
  workspaces_.assign(steps_.size(), nullptr);
  freeze(frozen);
  for (const auto& [name, id] : graph.inputs()) {
    const Array& array = bind(graph.node(id), name);
    for (std::int64_t part = 0; part < (varies(id) ? parts.count : 1); ++part)
      address_[slot(id, part)] = array.bytes() + static_cast<std::size_t>(part) * graph.node(id).type.bytes();
  }
  for (const auto& [name, id] : graph.outputs()) bind_output(name, id);
  find_stored();
}

/// The entry of the state with this name and the node's type, for all parts, in the backend's memory.
Array& Placement::bind(const Node& node, const std::string& name) {
  graph::TensorType type = node.type;
  if (varies(node.id)) {
    if (type.shape.empty()) base::fail_run("{} depends on a part of the batch alone: an all_reduce is missing", name);
    type.shape[0] *= parts_.count;
  }
  const auto found = state_.find(name);
  if (found == state_.end()) {
    Array& made = state_[name];
    if (node.rounded_from.empty()) return made = Array(type, memory_);
    const auto exact = state_.find(node.rounded_from);
    if (exact == state_.end())
      base::fail_usage("the graph reads {}, but there is no {} to be rounded", name, node.rounded_from);
    return made = rounded(exact->second).in(memory_);
  }
  if (found->second.type() != type)
    base::fail_usage("{} is {}, the graph expects {}", name, to_string(found->second.type()), to_string(type));
  return found->second = found->second.in(memory_);
}

/// Finds which groups, and which nodes, depend on the part. What an all_reduce gives does not.
void Placement::number_groups() {
  for (std::size_t i = 0; i < schedule_.groups.size(); ++i) {
    const Group& group = schedule_.groups[i];
    for (NodeId id : group.nodes) group_[index(id)] = static_cast<int>(i);
    reduces_[i] = group.root >= 0 && graph_.node(group.root).op == &ops::all_reduce_op;
  }
  if (parts_.inputs.empty()) return;
  for (const Node& node : graph_.nodes()) {
    const int group = group_[index(node.id)];
    if (group >= 0 && reduces_[index(group)]) continue;
    varies_[index(node.id)] = node.op ? std::ranges::any_of(node.inputs, [&](NodeId i) { return varies_[index(i)]; })
                                      : parts_.inputs.count(node.name) > 0;
    if (varies_[index(node.id)] && group >= 0) by_part_[index(group)] = true;
  }
}

/// Between all_reduces, which wait for all parts, each part runs as a whole before the next one.
void Placement::order_steps() {
  const std::size_t count = schedule_.groups.size();
  for (std::size_t begin = 0; begin < count;) {
    std::size_t end = begin;
    while (end < count && !reduces_[end]) ++end;
    while (end < count && reduces_[end]) ++end;
    for (std::int64_t part = 0; part < parts_.count; ++part)
      for (std::size_t group = begin; group < end; ++group) {
        if (part >= runs(static_cast<int>(group))) continue;
        int& number =
            part == 0 ? first_step_[group] : later_steps_[index(static_cast<NodeId>(part - 1)) * count + group];
        number = static_cast<int>(steps_.size());
        steps_.push_back({group, part});
      }
    begin = end;
  }
  for (int group = 0; group < static_cast<int>(count); ++group)
    for (NodeId id : schedule_.groups[index(group)].nodes)
      for (NodeId input : graph_.node(id).inputs) {
        int& last = last_read_[index(graph_.storage(input))];
        last = std::max(last, time(group, runs(group) - 1));
      }
}

/// How often a group is computed.
std::int64_t Placement::runs(int group) const {
  return by_part_[index(group)] || reduces_[index(group)] ? parts_.count : 1;
}

/// The step of a group for a part.
int Placement::time(int group, std::int64_t part) const {
  return part == 0 ? first_step_[index(group)]
                   : later_steps_[static_cast<std::size_t>(part - 1) * schedule_.groups.size() + index(group)];
}

/// The entry of address_ and last_use_ for a node that owns memory, as a part reads it. A group that is computed for
/// each part stores all its nodes for each part; groups that are computed once read those of part 0.
std::size_t Placement::slot(NodeId source, std::int64_t part) const {
  const int group = group_[index(source)];
  const bool by_part = group >= 0 ? by_part_[index(group)] : varies_[index(source)];
  return (by_part ? static_cast<std::size_t>(part) * graph_.nodes().size() : 0) + index(source);
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
  if (varies(id) && graph_.inputs().count(name))
    base::fail_run("the next value of {} depends on a part of the batch alone: an all_reduce is missing", name);
  const Array& array = bind(graph_.node(id), name);
  for (std::int64_t part = 0; part < (varies(id) ? parts_.count : 1); ++part) bind_output(array, name, id, part);
}

void Placement::bind_output(const Array& array, const std::string& name, NodeId id, std::int64_t part) {
  const NodeId source = graph_.storage(id);
  const std::size_t bytes = graph_.node(id).type.bytes();
  std::byte* const to = array.bytes() + static_cast<std::size_t>(part) * bytes;
  const int writer = group_[index(source)];
  const bool whole = graph_.node(id).type.elements() == graph_.node(source).type.elements();
  const auto old = graph_.inputs().find(name);
  if (writer < 0) {
    // The output is an input or a constant under another name. Kernels may overwrite the input, so it is staged first.
    std::byte* const from = address(id, part);
    if (from == to) return;
    std::byte* const staging = buffers_.emplace_back(bytes, memory_).data();
    copies_before_.push_back({from, staging, bytes});
    copies_after_.push_back({staging, to, bytes});
    return;
  }
  // A frozen value is computed once, so it must not be kept in the state only, where other programs may overwrite it.
  // What does not depend on parts is computed by a group that does as often as there are parts, from the old value.
  const bool repeated = by_part_[index(writer)] && !varies(id);
  const bool elsewhere = address_[slot(source, part)] != nullptr || frozen_nodes_[index(source)] || !whole || repeated;
  if (!elsewhere && (old == graph_.inputs().end() || may_overwrite(old->second, writer, source)))
    address_[slot(source, part)] = to;
  else
    pending_copies_.push_back({id, part, to, bytes});
}

/// Whether the group `writer` may write a next value over an input: no later kernel reads the input, and the writer
/// reads element i of it only to compute element i.
bool Placement::may_overwrite(NodeId input, int writer, NodeId source) const {
  const int last = last_read_[index(input)], writes = time(writer, 0);
  if (last != writes) return last < writes;
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
  const int end = static_cast<int>(steps_.size());
  const auto use = [&](NodeId source, std::int64_t part, int step) {
    int& last = last_use_[slot(source, part)];
    last = std::max(last, step);
  };
  for (const Node& node : graph_.nodes()) {
    const int reader = group_[index(node.id)];
    for (NodeId input : node.inputs) {
      const NodeId source = graph_.storage(input);
      const bool inside = reader >= 0 && reader == group_[index(source)] && source == input;
      if (!inside && reader >= 0)
        for (std::int64_t part = 0; part < runs(reader); ++part) use(source, part, time(reader, part));
      if (reader >= 0 && frozen_nodes_[index(source)] && !frozen_nodes_[index(node.id)]) kept_[index(source)] = true;
    }
  }
  for (const PendingCopy& copy : pending_copies_) {
    const NodeId source = graph_.storage(copy.from);
    use(source, copy.part, end);
    kept_[index(source)] = frozen_nodes_[index(source)];
  }
  for (int i = 0; i < static_cast<int>(schedule_.groups.size()); ++i) {
    const Group& group = schedule_.groups[index(i)];
    const bool chain =
        group.root < 0 || (group.nodes.size() > 1 && runs_chain(target_, graph_, graph_.node(group.root)));
    for (NodeId id : group.nodes) {
      const bool sum = id != group.root && !graph_.node(id).op->elementwise();
      if (sum || (!chain && id == group.nodes.back())) use(id, 0, time(i, 0));
    }
  }
  // Kernels of all parts store the same nodes.
  for (std::size_t i = 0; i < last_use_.size(); ++i)
    if (address_[i] || last_use_[i] >= 0) stored_[i % stored_.size()] = true;
}

void Placement::plan(const std::vector<std::size_t>& workspaces, Arena& arena) {
  std::vector<Lifetime> lifetimes;
  std::vector<std::byte**> owners;
  for (const Node& node : graph_.nodes()) {
    if (!node.op || node.is_view() || node.is_constant() || !stored_[index(node.id)]) continue;
    const int group = group_[index(node.id)];
    for (std::int64_t part = 0; part < (by_part_[index(group)] ? parts_.count : 1); ++part) {
      std::byte*& address = address_[slot(node.id, part)];
      if (address) continue;
      if (kept_[index(node.id)]) {
        address = buffers_.emplace_back(node.type.bytes(), memory_).data();
        continue;
      }
      const int first = time(group, part);
      lifetimes.push_back({node.type.bytes(), first, std::max(first, last_use_[slot(node.id, part)])});
      owners.push_back(&address);
    }
  }
  for (std::size_t i = 0; i < steps_.size(); ++i) {
    const std::size_t bytes = workspaces[steps_[i].group];
    if (bytes == 0) continue;
    lifetimes.push_back({bytes, static_cast<int>(i), static_cast<int>(i)});
    owners.push_back(&workspaces_[i]);
  }
  const MemoryPlan plan = plan_memory(lifetimes);
  std::byte* base = arena.reserve(plan.bytes, memory_);
  for (std::size_t i = 0; i < owners.size(); ++i) *owners[i] = base + plan.offsets[i];
  for (const PendingCopy& copy : pending_copies_)
    copies_after_.push_back({address(copy.from, copy.part), copy.to, copy.bytes});
}

std::byte* Placement::address(NodeId id, std::int64_t part) {
  const NodeId source = graph_.storage(id);
  const Node& node = graph_.node(source);
  std::byte*& begin = address_[slot(source, part)];
  if (node.is_constant() && !begin) {
    const std::vector<float> values(static_cast<std::size_t>(node.type.elements()),
                                    static_cast<float>(node.attributes.real("value")));
    begin = buffers_.emplace_back(node.type.bytes(), memory_).data();
    memory_.write(values.data(), begin, node.type.bytes());
  }
  if (!begin) base::fail_run("node %{} has no place in memory", id);
  return begin + static_cast<std::size_t>(graph_.offset_in_storage(id)) * size_of(graph_.node(id).type.dtype);
}

}  // namespace gan::runtime
