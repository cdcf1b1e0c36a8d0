#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"

namespace gan::graph {

using NodeId = std::int32_t;

/// One result of a graph: a cheap handle, valid as long as the graph.
struct Tensor {
  Graph* graph = nullptr;
  NodeId id = -1;

  const TensorType& type() const;
  const Shape& shape() const { return type().shape; }
  DType dtype() const { return type().dtype; }
  std::int64_t dim(std::size_t axis) const { return shape().at(axis); }
  std::int64_t elements() const { return type().elements(); }
};

/// One application of an op. `op` is null for inputs of the graph.
struct Node {
  NodeId id = -1;
  const Op* op = nullptr;
  std::vector<NodeId> inputs;
  Attributes attributes;
  TensorType type;
  std::string name;  ///< of an input of the graph
  /// Of an input whose first value is that of another one rounded to bf16: the other's name.
  std::string rounded_from = {};

  bool is_view() const { return op && op->view && op->view(*this) >= 0; }
  bool is_constant() const { return op && op->name == "constant"; }
};

/// A static graph of tensor operations with named inputs and outputs. Nodes only refer to earlier nodes, so the order
/// of their ids is an order of execution. An output with the name of an input is that state's next value.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Declares an input. Throws a usage error if the name is taken.
  Tensor input(const std::string& name, TensorType type);
  /// Declares an input in bf16 that programs make from the f32 input of this name if it is missing.
  Tensor rounded_input(const std::string& name, TensorType type, const std::string& rounded_from);
  /// Applies an op. Throws a usage error, with the op's name, if the inputs do not fit it.
  Tensor add(const Op& op, std::vector<Tensor> inputs, Attributes attributes = {});
  /// Gives a result a name. Throws a usage error if the name is taken or, for a state, if the type differs.
  void output(const std::string& name, Tensor tensor);

  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  /// The node whose memory a view shows, or a part of it; the node itself if it is no view.
  NodeId storage(NodeId id) const;
  /// Elements in that memory before those of the node.
  std::int64_t offset_in_storage(NodeId id) const;
  const std::map<std::string, NodeId>& inputs() const { return inputs_; }
  const std::map<std::string, NodeId>& outputs() const { return outputs_; }

  /// Checks that every node follows its inputs, fits its op and has the type the op infers, and that outputs exist.
  /// Throws a run error that names the node.
  void verify() const;
  /// One line a node: id, type, op, inputs, attributes; then the outputs.
  std::string dump() const;
  void swap(Graph& other);

 private:
  std::deque<Node> nodes_;  // a deque, so that references to nodes survive growth
  std::map<std::string, NodeId> inputs_;
  std::map<std::string, NodeId> outputs_;
};

/// One line of a dump.
std::string to_string(const Node& node);

}  // namespace gan::graph
