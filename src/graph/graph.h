#pragma once

#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "graph/op.h"

namespace gan::graph {

/// Handle of the result of a node; valid until a pass rewrites the graph. Inputs and outputs keep their names.
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
  std::vector<NodeId> inputs = {};
  Attributes attributes = {};
  TensorType type = {};
  std::string name = {};  ///< inputs of the graph only
  /// The f32 input whose rounded value initializes this bf16 input; empty for all others.
  std::string rounded_from = {};

  bool is_view() const { return op && op->view && op->view(*this) >= 0; }
  bool is_constant() const { return op && op->name == "constant"; }
};

/// A static graph of tensor operations with named inputs and outputs. Nodes read earlier nodes only, so ascending ids
/// are an order of execution. An output named like an input is the next value of that input, which is then called a
/// state.
class Graph {
 public:
  Graph() = default;
  Graph(const Graph&) = delete;
  Graph& operator=(const Graph&) = delete;

  /// Declares an input. Throws a usage error if the name is taken.
  Tensor input(const std::string& name, TensorType type);
  /// Declares a bf16 input. Programs initialize it by rounding the f32 input `rounded_from` if the state lacks it.
  Tensor rounded_input(const std::string& name, TensorType type, const std::string& rounded_from);
  /// Applies an op. Throws a usage error, with the op's name, if the inputs do not fit it.
  Tensor add(const Op& op, std::vector<Tensor> inputs, Attributes attributes = {});
  /// Declares an output. Throws a usage error if the name is taken or if an input of this name has another type.
  void output(const std::string& name, Tensor tensor);

  const std::deque<Node>& nodes() const { return nodes_; }
  const Node& node(NodeId id) const { return nodes_[static_cast<std::size_t>(id)]; }
  /// The node that owns the memory of `id`: for a view its source, else the node itself.
  NodeId storage(NodeId id) const;
  /// The offset of `id` in that memory, in elements.
  std::int64_t offset_in_storage(NodeId id) const;
  const std::map<std::string, NodeId>& inputs() const { return inputs_; }
  const std::map<std::string, NodeId>& outputs() const { return outputs_; }

  /// Checks that every node follows its inputs and has the type that its op infers, and that outputs exist. Throws a
  /// run error that names the node.
  void verify() const;
  /// One line per node: id, type, op, inputs, attributes; then the outputs.
  std::string dump() const;
  void swap(Graph& other);

 private:
  std::deque<Node> nodes_;  // references to its elements survive growth
  std::map<std::string, NodeId> inputs_;
  std::map<std::string, NodeId> outputs_;
};

/// One line of a dump.
std::string to_string(const Node& node);

}  // namespace gan::graph
