#include "runtime/program.h"

#include <fmt/core.h>

#include <utility>

namespace gan::runtime {

using graph::Graph;
using graph::Group;
using graph::Node;
using graph::NodeId;

namespace {

constexpr std::size_t kLongestName = 6;  // most ops that the name of a kernel lists

/// The launch of a group, without addresses yet, and the nodes whose addresses it needs.
struct Planned {
  Launch launch;
  std::vector<NodeId> operands, results;
};

Planned plan_launch(const Graph& graph, const Group& group, const Placement& placement, const Frozen& frozen) {
  Planned planned;
  Launch& launch = planned.launch;
  if (group.root >= 0) {
    const Node& root = graph.node(group.root);
    launch.spec = root.op->describe(graph, root);
    launch.inputs.resize(root.inputs.size());
    for (NodeId input : root.inputs) launch.frozen.push_back(placement.is_frozen(input));
    launch.compact_rows = frozen.compact_rows;
  }
  if (group.root >= 0 && group.nodes.size() == 1) {
    planned.results = group.nodes;
  } else {
    graph::ChainOfNodes made =
        chain_of(graph, group.nodes, group.root, [&](NodeId id) { return placement.is_stored(id); });
    launch.chain = std::move(made.chain);
    planned.operands = std::move(made.operands);
    planned.results = std::move(made.results);
  }
  launch.operands.resize(planned.operands.size());
  launch.results.resize(planned.results.size());
  return planned;
}

std::string name_of(const Graph& graph, const Group& group) {
  std::string name;
  if (group.nodes.size() > kLongestName)
    return group.root < 0 ? fmt::format("{} elementwise ops", group.nodes.size())
                          : fmt::format("{} and {} ops", graph.node(group.root).op->name, group.nodes.size() - 1);
  for (NodeId id : group.nodes) name += (name.empty() ? "" : "+") + std::string(graph.node(id).op->name);
  return name;
}

/// The types of the operands of the root, or, without a root, the type of the first node.
std::string shape_of(const Graph& graph, const Group& group) {
  if (group.root < 0) return to_string(graph.node(group.nodes[0]).type);
  const Node& root = graph.node(group.root);
  std::string text;
  for (std::size_t i = 0; i < root.inputs.size(); ++i) {
    const char* transpose = i == 0 ? "transpose_a" : "transpose_b";
    const bool transposed = root.attributes.has(transpose) && root.attributes.integer(transpose) != 0;
    text += (i > 0 ? " " : "") + to_string(graph.node(root.inputs[i]).type) + (transposed ? "^T" : "");
  }
  return text;
}

/// Makes the kernel of a launch for a part, of `parts`, now that every node has its address.
Kernel make_kernel(const Graph& graph, const Group& group, const Planned& planned, Placement& placement,
                   std::byte* workspace, std::int64_t part, std::int64_t parts, const Backend& backend) {
  Launch launch = planned.launch;
  if (auto* sum = launch.spec ? std::get_if<graph::AllReduce>(&*launch.spec) : nullptr) {
    sum->add = part > 0;
    sum->exchange = part == parts - 1;
  }
  double bytes = 0;
  const auto address = [&](NodeId id) {
    bytes += static_cast<double>(graph.node(id).type.bytes());
    return placement.address(id, part);
  };
  launch.workspace = workspace;
  for (std::size_t i = 0; i < launch.inputs.size(); ++i) launch.inputs[i] = address(graph.node(group.root).inputs[i]);
  for (std::size_t i = 0; i < planned.operands.size(); ++i)
    if (planned.operands[i] != group.root) launch.operands[i] = address(planned.operands[i]);
  for (std::size_t i = 0; i < planned.results.size(); ++i) launch.results[i] = address(planned.results[i]);
  Kernel kernel = backend.kernel(launch);
  kernel.name = name_of(graph, group);
  kernel.shape = shape_of(graph, group);
  kernel.bytes = bytes;
  kernel.operations = launch.spec
                          ? operations(*launch.spec)
                          : static_cast<double>(launch.chain->elements) * static_cast<double>(group.nodes.size());
  kernel.contraction = group.root >= 0 && graph.node(group.root).op->contraction;
  return kernel;
}

Kernel make_copy(const Placement::Copy& copy, const Backend& backend) {
  Kernel kernel = backend.copy(copy.from, copy.to, copy.bytes);
  kernel.name = "copy";
  kernel.bytes = 2.0 * static_cast<double>(copy.bytes);
  return kernel;
}

}  // namespace

Program::Program(const Graph& graph, const graph::Schedule& schedule, State& state, Arena& arena, const Frozen& frozen,
                 const Backend& backend, const Parts& parts) {
  const graph::Target target = backend.target();
  Placement placement(graph, schedule, target, state, frozen, parts, backend.memory());
  std::vector<Planned> planned;
  std::vector<std::size_t> workspaces;
  for (const Group& group : schedule.groups) {
    planned.push_back(plan_launch(graph, group, placement, frozen));
    workspaces.push_back(backend.workspace(planned.back().launch));
  }
  placement.plan(workspaces, arena);

  std::vector<Kernel> kernels, once;
  const auto run_frozen = [&] {
    if (!once.empty()) backend.finish(std::exchange(once, {}))->run(nullptr);
  };
  for (const Placement::Copy& copy : placement.copies_before()) kernels.push_back(make_copy(copy, backend));
  for (std::size_t i = 0; i < placement.steps().size(); ++i) {
    const auto [number, part] = placement.steps()[i];
    const Group& group = schedule.groups[number];
    Kernel kernel =
        make_kernel(graph, group, planned[number], placement, placement.workspace(i), part, parts.count, backend);
    if (!placement.is_frozen(group.nodes.back())) {
      kernels.push_back(std::move(kernel));
      continue;
    }
    once.push_back(std::move(kernel));
    // Kernels of the processor may read frozen values when they are made. A device compiles all sources at once.
    if (backend.memory().is_host()) run_frozen();
  }
  run_frozen();
  for (const Placement::Copy& copy : placement.copies_after()) kernels.push_back(make_copy(copy, backend));
  buffers_ = placement.take_buffers();
  executable_ = backend.finish(std::move(kernels));
}

}  // namespace gan::runtime
