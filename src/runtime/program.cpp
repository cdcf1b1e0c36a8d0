#include "runtime/program.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <map>
#include <utility>

#include "base/error.h"
#include "runtime/memory_plan.h"
#include "runtime/profile.h"
#include "runtime/simd.h"

namespace gan::runtime {

using graph::DType;
using graph::Graph;
using graph::Group;
using graph::Node;
using graph::NodeId;
using graph::Schedule;

std::byte* Arena::reserve(std::size_t bytes) {
  for (const AlignedBytes& block : blocks_)
    if (block.size() >= bytes) return block.data();
  blocks_.emplace_back(bytes);
  return blocks_.back().data();
}

namespace {

std::size_t index(NodeId id) { return static_cast<std::size_t>(id); }

/// The entry of the state with this name and type, made if it is missing.
Array& bind(State& state, const std::string& name, const graph::TensorType& type) {
  const auto found = state.find(name);
  if (found == state.end()) {
    Array& made = state[name] = Array(type);
    if (name.ends_with(graph::kRounded) && type.dtype == DType::bf16) {
      const std::string exact_name = name.substr(0, name.size() - graph::kRounded.size());
      const auto exact = state.find(exact_name);
      if (exact == state.end()) base::fail_usage("{} is wanted, but there is no {} to be rounded", name, exact_name);
      simd::round_to_bf16(exact->second.f32().data(), made.bf16().data(), made.bf16().size());
    }
    return made;
  }
  if (found->second.type() != type)
    base::fail_usage("{} is {}, the graph wants {}", name, to_string(found->second.type()), to_string(type));
  return found->second;
}

/// Turns one graph and its schedule into kernels: decides where every value lives, then lowers group by group.
class Builder {
 public:
  Builder(const Graph& graph, const Schedule& schedule, State& state, const Frozen& frozen, bool machine_code,
          std::vector<AlignedBytes>& constants)
      : graph_(graph),
        schedule_(schedule),
        state_(state),
        frozen_(frozen),
        machine_code_(machine_code),
        constants_(constants),
        address_(graph.nodes().size(), nullptr),
        group_(graph.nodes().size(), -1),
        last_read_(graph.nodes().size(), -1),
        is_frozen_(graph.nodes().size(), false) {}

  void place(Arena& arena) {
    number_groups();
    freeze();
    bind_inputs();
    for (const auto& [name, id] : graph_.outputs()) bind_output(name, id);
    plan_scratch(arena);
  }

  std::vector<Kernel> lower() {
    for (std::size_t i = 0; i < schedule_.groups.size(); ++i) {
      const Group& group = schedule_.groups[i];
      const Node& root = graph_.node(group.product >= 0 ? group.product : group.nodes[0]);
      Kernel kernel = is_chain(group) ? lower_chain(group) : lower_kernel(group);
      kernel.shape = describe(group);
      kernel.contraction = root.op->contraction;
      if (is_frozen_[index(root.id)])
        kernel.run();
      else
        kernels_.push_back(std::move(kernel));
    }
    join_row_products();
    kernels_.insert(kernels_.begin(), copies_before_.begin(), copies_before_.end());
    kernels_.insert(kernels_.end(), copies_after_.begin(), copies_after_.end());
    return std::move(kernels_);
  }

 private:
  NodeId storage(NodeId id) const { return graph_.storage(id); }

  bool is_chain(const Group& group) const {
    return group.product >= 0 || graph_.node(group.nodes[0]).op->elementwise();
  }

  void number_groups() {
    for (std::size_t i = 0; i < schedule_.groups.size(); ++i)
      for (NodeId id : schedule_.groups[i].nodes) group_[index(id)] = static_cast<int>(i);
    for (std::size_t i = 0; i < schedule_.groups.size(); ++i)
      for (NodeId id : schedule_.groups[i].nodes)
        for (NodeId input : graph_.node(id).inputs) {
          int& last = last_read_[index(storage(input))];
          last = std::max(last, static_cast<int>(i));
        }
  }

  /// Products of one row that follow each other run in turns, in pairs from the last on: at the end the largest stand.
  void join_row_products() {
    for (std::size_t i = kernels_.size(); i-- > 1;) {
      const auto &first = kernels_[i - 1].row_product, second = kernels_[i].row_product;
      if (!first || !second || !second->follows(*first)) continue;
      kernels_[i - 1] = {.name = kernels_[i - 1].name + ", " + kernels_[i].name,
                         .operations = kernels_[i - 1].operations + kernels_[i].operations,
                         .bytes = kernels_[i - 1].bytes + kernels_[i].bytes,
                         .run = [first, second] { first->run(second.get()); },
                         .shape = kernels_[i - 1].shape + ", " + kernels_[i].shape,
                         .contraction = true};
      kernels_.erase(kernels_.begin() + static_cast<std::ptrdiff_t>(i));
      --i;
    }
  }

  /// Finds what depends on frozen inputs and constants alone. A kernel is frozen as a whole or not at all.
  void freeze() {
    if (frozen_.inputs.empty()) return;
    for (const std::string& name : frozen_.inputs) {
      const auto input = graph_.inputs().find(name);
      if (input == graph_.inputs().end()) base::fail_usage("frozen input {}: the graph has none of this name", name);
      if (graph_.outputs().count(name)) base::fail_usage("frozen input {}: the graph gives it a next value", name);
      if (!state_.count(name)) base::fail_usage("frozen input {}: the state has no value for it", name);
      is_frozen_[index(input->second)] = true;
    }
    for (const Node& node : graph_.nodes())
      is_frozen_[index(node.id)] = is_frozen_[index(node.id)] || node.is_constant();
    for (std::size_t i = 0; i < schedule_.groups.size(); ++i) {
      const std::vector<NodeId>& nodes = schedule_.groups[i].nodes;
      const bool frozen = std::ranges::all_of(nodes, [&](NodeId id) {
        return std::ranges::all_of(graph_.node(id).inputs, [&](NodeId input) {
          const NodeId source = storage(input);
          return is_frozen_[index(source)] || group_[index(source)] == static_cast<int>(i);
        });
      });
      for (NodeId id : nodes) is_frozen_[index(id)] = frozen;
    }
  }

  void bind_inputs() {
    for (const auto& [name, id] : graph_.inputs())
      address_[index(id)] = bind(state_, name, graph_.node(id).type).bytes();
  }

  /// Decides where an output is computed: in its place in the state if that is safe, else elsewhere and copied.
  void bind_output(const std::string& name, NodeId id) {
    const NodeId source = storage(id);
    Array& array = bind(state_, name, graph_.node(id).type);
    const int writer = group_[index(source)];
    const bool whole = graph_.node(id).type.elements() == graph_.node(source).type.elements();
    const auto old = graph_.inputs().find(name);
    if (writer < 0) {
      // An input or a constant under another name: its old value, whatever the kernels overwrite meanwhile.
      auto staging = std::make_shared<AlignedBytes>(array.size_bytes());
      const std::byte* from = static_cast<std::byte*>(address(id));
      std::byte* to = array.bytes();
      const std::size_t bytes = array.size_bytes();
      if (from == to) return;
      copies_before_.push_back(copy_kernel(from, staging->data(), bytes, staging));
      copies_after_.push_back(copy_kernel(staging->data(), to, bytes, staging));
      return;
    }
    // What is computed but once must not be the only copy of something that users see and other programs write.
    const bool taken = address_[index(source)] != nullptr || is_frozen_[index(source)] || !whole;
    if (!taken && (old == graph_.inputs().end() || may_overwrite(old->second, writer, source))) {
      address_[index(source)] = array.bytes();
      return;
    }
    pending_copies_.push_back({id, array.bytes(), array.size_bytes()});
  }

  /// Whether `writer` may put the next value over an input: no later kernel reads it, and the writer itself reads it
  /// at the same places that it writes.
  bool may_overwrite(NodeId input, int writer, NodeId source) const {
    const int last = last_read_[index(input)];
    if (last != writer) return last < writer;
    const Group& group = schedule_.groups[static_cast<std::size_t>(writer)];
    if (!is_chain(group) || graph_.node(source).type != graph_.node(input).type) return false;
    for (NodeId id : group.nodes)
      for (NodeId read : graph_.node(id).inputs)
        if (storage(read) == input &&
            (id == group.product || graph_.node(read).type.shape != graph_.node(id).type.shape))
          return false;
    return true;
  }

  /// Whether a node's value is stored: an output, another group or a view shows it.
  bool has_place(NodeId id) const { return address_[index(id)] != nullptr; }

  void plan_scratch(Arena& arena) {
    const int end = static_cast<int>(schedule_.groups.size());
    std::vector<int> last_outside(graph_.nodes().size(), -1);
    std::vector<bool> kept(graph_.nodes().size(), false);  // frozen, and read by kernels that are not
    for (const Node& node : graph_.nodes()) {
      const int reader = group_[index(node.id)];
      for (NodeId input : node.inputs) {
        const NodeId source = storage(input);
        const bool inside = reader >= 0 && reader == group_[index(source)] && source == input;
        if (!inside && reader >= 0) last_outside[index(source)] = std::max(last_outside[index(source)], reader);
        if (reader >= 0 && is_frozen_[index(source)] && !is_frozen_[index(node.id)]) kept[index(source)] = true;
      }
    }
    for (const PendingCopy& copy : pending_copies_) {
      const NodeId source = storage(copy.from);
      last_outside[index(source)] = end;
      kept[index(source)] = is_frozen_[index(source)];
    }
    // A kernel that is not a chain always stores its result, and a chain its sums, even those that nobody reads.
    for (int i = 0; i < end; ++i) {
      const Group& group = schedule_.groups[static_cast<std::size_t>(i)];
      for (NodeId id : group.nodes) {
        int& last = last_outside[index(id)];
        if (is_chain(group) ? graph_.node(id).op->ends_chain != nullptr : id == group.nodes.back())
          last = std::max(last, i);
      }
    }

    std::vector<Lifetime> lifetimes;
    std::vector<NodeId> owners;
    for (const Node& node : graph_.nodes()) {
      const int last = last_outside[index(node.id)];
      if (!node.op || node.is_view() || node.is_constant() || last < 0 || address_[index(node.id)]) continue;
      if (kept[index(node.id)]) {
        constants_.emplace_back(node.type.bytes());
        address_[index(node.id)] = constants_.back().data();
        continue;
      }
      lifetimes.push_back({node.type.bytes(), group_[index(node.id)], last});
      owners.push_back(node.id);
    }
    const MemoryPlan plan = plan_memory(lifetimes);
    std::byte* base = arena.reserve(plan.bytes);
    for (std::size_t i = 0; i < owners.size(); ++i) address_[index(owners[i])] = base + plan.offsets[i];
    for (const PendingCopy& copy : pending_copies_)
      copies_after_.push_back(copy_kernel(static_cast<std::byte*>(address(copy.from)), copy.to, copy.bytes));
  }

  /// Constants that something other than an elementwise kernel reads are written once.
  void materialize(NodeId id) {
    const Node& node = graph_.node(id);
    if (!node.is_constant() || address_[index(id)]) return;
    constants_.emplace_back(node.type.bytes());
    address_[index(id)] = constants_.back().data();
    std::fill_n(reinterpret_cast<float*>(constants_.back().data()), node.type.elements(),
                static_cast<float>(node.attributes.real("value")));
  }

  void* address(NodeId id) {
    const NodeId source = storage(id);
    materialize(source);
    if (!address_[index(source)]) base::fail_run("node %{} has no place in memory", id);
    return static_cast<std::byte*>(address_[index(source)]) +
           static_cast<std::size_t>(graph_.offset_in_storage(id)) * size_of(graph_.node(id).type.dtype);
  }

  static Kernel copy_kernel(const std::byte* from, std::byte* to, std::size_t bytes,
                            std::shared_ptr<AlignedBytes> keep = nullptr) {
    return {"copy", 0, 2.0 * static_cast<double>(bytes), [=] {
              (void)keep;
              std::memcpy(to, from, bytes);
            }};
  }

  Kernel lower_kernel(const Group& group) {
    const Node& root = graph_.node(group.nodes.front());
    const Node& last = graph_.node(group.nodes.back());
    std::vector<PostOp> post_ops;
    double extra = 0;
    for (std::size_t i = 1; i < group.nodes.size(); ++i) {
      const Node& node = graph_.node(group.nodes[i]);
      if (node.op->name == "cast") continue;  // the kernel stores the type of the last node
      post_ops.push_back(post_op(node, group.nodes[i - 1]));
      if (post_ops.back().data && post_ops.back().access == Access::full)
        extra += static_cast<double>(node.type.bytes());
    }
    Lowering lowering = lowering_of(root, address(last.id), last.type, std::move(post_ops));
    root.op->lower(lowering);
    Kernel kernel = lowering.take();
    kernel.bytes += extra;
    for (std::size_t i = 1; i < group.nodes.size(); ++i)
      kernel.name += "+" + std::string(graph_.node(group.nodes[i]).op->name);
    return kernel;
  }

  PostOp post_op(const Node& node, NodeId chain) {
    PostOp post_op;
    post_op.op = node.op->tile;
    if (node.inputs.size() == 1) {
      post_op.alpha = alpha_of(node);
      return post_op;
    }
    const NodeId operand = node.inputs[0] == chain ? node.inputs[1] : node.inputs[0];
    post_op.data = static_cast<const float*>(address(operand));
    const TileOperand how = broadcast_operand(graph_.node(operand).type.shape, node.type.shape);
    post_op.access = how.access;
    return post_op;
  }

  Kernel lower_chain(const Group& group) {
    TileProgram program;
    program.elements = graph_.node(group.nodes[0]).type.elements();
    std::map<std::pair<NodeId, bool>, int> registers;  // (node, computed here)
    const auto inside = [&](NodeId id) {
      return std::find(group.nodes.begin(), group.nodes.end(), id) != group.nodes.end();
    };
    double bytes = 0;
    std::map<float, int> constants;
    // Operands take the first numbers, then constants, then results: count before numbering.
    if (group.product >= 0) {
      registers[{group.product, true}] = 0;
      program.operands.emplace_back().access = Access::product;
    }
    for (NodeId id : group.nodes)
      for (NodeId input : graph_.node(id).inputs) {
        if (id == group.product || inside(input)) continue;
        const Node& source = graph_.node(input);
        if (source.is_constant()) {
          constants.emplace(static_cast<float>(source.attributes.real("value")), 0);
          continue;
        }
        if (registers.count({input, false})) continue;
        TileOperand operand = broadcast_operand(source.type.shape, graph_.node(id).type.shape);
        operand.data = address(input);
        operand.dtype = source.type.dtype;
        registers[{input, false}] = static_cast<int>(program.operands.size());
        program.operands.push_back(std::move(operand));
        bytes += static_cast<double>(source.type.bytes());
      }
    for (auto& [value, number] : constants) {
      number = static_cast<int>(program.operands.size() + program.constants.size());
      program.constants.push_back(value);
    }
    int next = static_cast<int>(program.operands.size() + program.constants.size());
    const auto source_register = [&](NodeId id) {
      if (inside(id)) return registers.at({id, true});
      const Node& source = graph_.node(id);
      return source.is_constant() ? constants.at(static_cast<float>(source.attributes.real("value")))
                                  : registers.at({id, false});
    };
    std::string name, separator;
    for (NodeId id : group.nodes) {
      const Node& node = graph_.node(id);
      if (group.nodes.size() <= 6) name += std::exchange(separator, "+") + std::string(node.op->name);
      if (id == group.product && !has_place(id)) continue;
      if (id != group.product && !node.op->elementwise()) {  // a sum over rows
        program.results.push_back(
            {registers.at({node.inputs[0], true}), address(id), node.type.dtype, Access::sum, node.type.elements()});
        bytes += static_cast<double>(node.type.bytes());
        continue;
      }
      TileInstruction instruction;
      if (id == group.product) {  // what is stored is the result of an instruction
        instruction.op = TileOp::copy;
      } else {
        instruction.op = node.op->tile;
        instruction.a = source_register(node.inputs[0]);
        instruction.b = node.inputs.size() > 1 ? source_register(node.inputs[1]) : instruction.a;
        instruction.alpha = alpha_of(node);
      }
      instruction.dst = next++;
      if (id != group.product) registers[{id, true}] = instruction.dst;
      program.instructions.push_back(instruction);
      if (has_place(id)) {
        program.results.push_back({instruction.dst, address(id), node.type.dtype});
        bytes += static_cast<double>(node.type.bytes());
      }
    }
    if (name.empty())
      name = group.product < 0
                 ? fmt::format("{} elementwise ops", group.nodes.size())
                 : fmt::format("{} and {} ops", graph_.node(group.product).op->name, group.nodes.size() - 1);
    const double operations = static_cast<double>(program.elements) * static_cast<double>(group.nodes.size());
    if (group.product < 0) return {name, operations, bytes, tile_kernel(std::move(program), machine_code_)};
    const Node& product = graph_.node(group.product);
    for (NodeId input : product.inputs) bytes += static_cast<double>(graph_.node(input).type.bytes());
    Lowering lowering = lowering_of(product, nullptr, product.type, {});
    lowering.follow_with(std::move(program));
    product.op->lower(lowering);
    Kernel kernel = lowering.take();
    kernel.bytes = bytes;
    kernel.name = name;
    return kernel;
  }

  Lowering lowering_of(const Node& node, void* dst, const graph::TensorType& dst_type, std::vector<PostOp> post_ops) {
    std::vector<const void*> src;
    std::vector<bool> frozen;
    for (NodeId input : node.inputs) {
      src.push_back(address(input));
      frozen.push_back(is_frozen_[index(storage(input))]);
    }
    return {graph_, node, std::move(src), dst, dst_type, std::move(post_ops), std::move(frozen), frozen_.compact};
  }

  /// The operands of a kernel, the first result of an elementwise chain.
  std::string describe(const Group& group) const {
    const Node& first = graph_.node(group.product >= 0 ? group.product : group.nodes.front());
    if (first.op->elementwise()) return to_string(first.type);
    std::string text;
    for (std::size_t i = 0; i < first.inputs.size(); ++i) {
      const char* transpose = i == 0 ? "transpose_a" : "transpose_b";
      const bool transposed = first.attributes.has(transpose) && first.attributes.integer(transpose) != 0;
      text += (i > 0 ? " " : "") + to_string(graph_.node(first.inputs[i]).type) + (transposed ? "^T" : "");
    }
    return text;
  }

  static float alpha_of(const Node& node) {
    return node.attributes.has("alpha") ? static_cast<float>(node.attributes.real("alpha")) : 0.0f;
  }

  struct PendingCopy {
    NodeId from;
    std::byte* to;
    std::size_t bytes;
  };

  const Graph& graph_;
  const Schedule& schedule_;
  State& state_;
  const Frozen& frozen_;
  bool machine_code_;
  std::vector<AlignedBytes>& constants_;
  std::vector<void*> address_;   // of nodes that own memory
  std::vector<int> group_;       // of each node, -1 = none
  std::vector<int> last_read_;   // of each node that owns memory: the last group that reads it
  std::vector<bool> is_frozen_;  // of each node that owns memory
  std::vector<PendingCopy> pending_copies_;
  std::vector<Kernel> kernels_, copies_before_, copies_after_;
};

}  // namespace

Program::Program(const Graph& graph, const Schedule& schedule, State& state, Arena& arena, const Frozen& frozen,
                 bool machine_code)
    : threads_(base::threads()) {
  const base::ScopedFloatMode flush(base::ScopedFloatMode::without_denormals());  // as in run()
  const base::ScopedThreads team(threads_);
  Builder builder(graph, schedule, state, frozen, machine_code, constants_);
  builder.place(arena);
  kernels_ = builder.lower();
}

void Program::fail_threads(int found) const {
  base::fail_run("a program compiled for {} threads runs where {} can be had; compile it where it runs", threads_,
                 found);
}

void Program::run_timed(Profile& profile) const { profile.run(kernels_); }

}  // namespace gan::runtime
