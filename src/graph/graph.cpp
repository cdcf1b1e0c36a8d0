#include "graph/graph.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/error.h"
#include "base/text.h"

namespace gan::graph {

const Attributes::Value& Attributes::at(std::string_view name) const {
  const auto found = values_.find(name);
  if (found == values_.end()) base::fail_run("no attribute {} among {}", name, to_string());
  return found->second;
}

namespace {
template <typename T>
const T& get(const Attributes::Value& value, std::string_view name) {
  const T* found = std::get_if<T>(&value);
  if (!found) base::fail_run("attribute {} has another type", name);
  return *found;
}

TensorType infer(const Op& op, std::span<const TensorType> inputs, const Attributes& attributes) {
  if (op.inputs >= 0 && inputs.size() != static_cast<std::size_t>(op.inputs))
    base::fail_usage("{} given, {} expected", base::counted(static_cast<std::int64_t>(inputs.size()), "tensor"),
                     op.inputs);
  if (op.infer) return op.infer(inputs, attributes);
  TensorType type = inputs[0];
  for (const TensorType& input : inputs) {
    if (input.dtype == DType::i32) base::fail_usage("elementwise ops take real tensors, not {}", to_string(input));
    type.shape = broadcast_shape(type.shape, input.shape);
  }
  type.dtype = DType::f32;
  return type;
}
}  // namespace

std::int64_t Attributes::integer(std::string_view name) const { return get<std::int64_t>(at(name), name); }
double Attributes::real(std::string_view name) const { return get<double>(at(name), name); }
const std::vector<std::int64_t>& Attributes::integers(std::string_view name) const {
  return get<std::vector<std::int64_t>>(at(name), name);
}
const std::string& Attributes::text(std::string_view name) const { return get<std::string>(at(name), name); }

std::string Attributes::to_string() const {
  struct Print {
    std::string operator()(std::int64_t value) const { return fmt::format("{}", value); }
    std::string operator()(double value) const { return fmt::format("{}", value); }
    std::string operator()(const std::vector<std::int64_t>& value) const { return graph::to_string(value); }
    std::string operator()(const std::string& value) const { return value; }
  };
  std::string text;
  for (const auto& [name, value] : values_)
    text += (text.empty() ? "" : ", ") + name + "=" + std::visit(Print{}, value);
  return "{" + text + "}";
}

const Op& find_op(std::string_view name) {
  for (const Op* op : op_table())
    if (op->name == name) return *op;
  base::fail_run("no op is called {}", name);
}

const TensorType& Tensor::type() const { return graph->node(id).type; }

Tensor Graph::input(const std::string& name, TensorType type) {
  if (inputs_.count(name)) base::fail_usage("the graph has an input {} already", name);
  const NodeId id = static_cast<NodeId>(nodes_.size());
  nodes_.push_back({.id = id, .type = std::move(type), .name = name});
  inputs_[name] = id;
  return {this, id};
}

Tensor Graph::rounded_input(const std::string& name, TensorType type, const std::string& rounded_from) {
  const Tensor made = input(name, std::move(type));
  nodes_.back().rounded_from = rounded_from;
  return made;
}

Tensor Graph::add(const Op& op, std::vector<Tensor> inputs, Attributes attributes) {
  Node node{.id = static_cast<NodeId>(nodes_.size()), .op = &op, .attributes = std::move(attributes)};
  std::vector<TensorType> types;
  for (const Tensor& tensor : inputs) {
    if (tensor.graph != this) base::fail_usage("{}: a tensor of another graph was given", op.name);
    node.inputs.push_back(tensor.id);
    types.push_back(tensor.type());
  }
  try {
    node.type = infer(op, types, node.attributes);
  } catch (const base::Error& error) {
    throw base::Error(error.kind(), fmt::format("{}: {}", op.name, error.what()));
  }
  nodes_.push_back(std::move(node));
  return {this, nodes_.back().id};
}

void Graph::output(const std::string& name, Tensor tensor) {
  if (outputs_.count(name)) base::fail_usage("the graph has an output {} already", name);
  if (const auto state = inputs_.find(name); state != inputs_.end() && node(state->second).type != tensor.type())
    base::fail_usage("the next value of {} is {}, not {}", name, to_string(tensor.type()),
                     to_string(node(state->second).type));
  outputs_[name] = tensor.id;
}

NodeId Graph::storage(NodeId id) const {
  while (node(id).is_view()) id = node(id).inputs[0];
  return id;
}

std::int64_t Graph::offset_in_storage(NodeId id) const {
  std::int64_t offset = 0;
  for (; node(id).is_view(); id = node(id).inputs[0]) offset += node(id).op->view(node(id));
  return offset;
}

void Graph::verify() const {
  for (std::size_t i = 0; i < nodes_.size(); ++i) {
    const Node& n = nodes_[i];
    if (n.id != static_cast<NodeId>(i)) base::fail_run("node {} has id {}", i, n.id);
    std::vector<TensorType> types;
    for (NodeId input : n.inputs) {
      if (input < 0 || input >= n.id) base::fail_run("node {} reads node {}, which does not precede it", n.id, input);
      types.push_back(node(input).type);
    }
    if (!n.op) continue;
    const TensorType expected = infer(*n.op, types, n.attributes);
    if (expected != n.type)
      base::fail_run("node {} ({}) is {}, its op gives {}", n.id, n.op->name, to_string(n.type), to_string(expected));
  }
  for (const auto& [name, id] : outputs_)
    if (id < 0 || id >= static_cast<NodeId>(nodes_.size())) base::fail_run("output {} is node {}", name, id);
}

std::string to_string(const Node& node) {
  if (!node.op) return fmt::format("%{} = {} input \"{}\"", node.id, to_string(node.type), node.name);
  std::string inputs;
  for (NodeId input : node.inputs) inputs += fmt::format("{}%{}", inputs.empty() ? "" : ", ", input);
  return fmt::format("%{} = {} {}({}){}", node.id, to_string(node.type), node.op->name, inputs,
                     node.attributes.empty() ? "" : " " + node.attributes.to_string());
}

std::string Graph::dump() const {
  std::string text;
  for (const Node& node : nodes_) text += to_string(node) + "\n";
  for (const auto& [name, id] : outputs_) text += fmt::format("output \"{}\" = %{}\n", name, id);
  return text;
}

void Graph::swap(Graph& other) {
  nodes_.swap(other.nodes_);
  inputs_.swap(other.inputs_);
  outputs_.swap(other.outputs_);
}

}  // namespace gan::graph
