#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "graph/graph.h"
#include "graph/schedule.h"
#include "graph/target.h"

namespace gan::passes {

/// A named rewrite of a whole graph that keeps the values of its outputs (within rounding).
struct Pass {
  std::string_view name;
  std::string_view summary;
  void (*run)(graph::Graph& graph, const graph::Target& target);
  bool bf16_only = false;  ///< has no place in a program of f32
};

/// Removes nodes that no output needs. Inputs stay.
void dce(graph::Graph& graph);
/// Makes one node of those with equal op, inputs and attributes. Random ops are functions of their key and counter, so
/// they merge too.
void cse(graph::Graph& graph);
/// Applies each op's own algebraic simplifications, in one sweep from the inputs to the outputs.
void fold(graph::Graph& graph);
/// Moves factors of rows behind the matrix products and convolutions that act on each row alone, where passes through a
/// network that differ only by such factors (the gradients of two losses, or of a penalty) become one.
void hoist(graph::Graph& graph);
/// Computes of a matrix product only the rows and columns that are read: the gradient by D's input ends at the samples
/// for one network, at the embedded labels for the other.
void narrow(graph::Graph& graph);
/// Rounds the operands of contractions (matmul, convolution) to bf16; they accumulate in f32 and all else stays f32.
/// Products that are multiplied by something and summed to one number (the gradient of spectral norm's scale) are
/// operands of a contraction, too, if the kernel that makes them can round them.
void precision(graph::Graph& graph);
/// Adds up matrices row by row before the columns' sums are added, where the target's chains add up rows as they go.
void sums(graph::Graph& graph, const graph::Target& target);
/// Makes the rounded copy of a state a state of its own, so that the kernel that writes the next value rounds it too.
void carry(graph::Graph& graph);

/// Joins a contraction with the elementwise ops that alone read its result (scale, bias, activation, rounding).
inline constexpr std::string_view kFuseEpilogue = "fuse-epilogue";
/// Joins elementwise ops of one shape, so that chains of them touch memory only at their ends.
inline constexpr std::string_view kFuseElementwise = "fuse-elementwise";

/// Every pass over graphs in the order the compiler runs them.
std::span<const Pass> pass_table();

/// Which nodes share kernels, of those that the target would let.
struct Fusion {
  bool epilogue = true, elementwise = true;
  bool chain = true;  ///< contractions join the chains that read them, sums end chains; needs the others
};
/// Assigns nodes to kernels and orders the kernels. Without fusion each node is a kernel.
graph::Schedule schedule(const graph::Graph& graph, const graph::Target& target, const Fusion& fusion);

/// Builds a graph anew in an empty target, node by node: `replace` is given the target, each node (not inputs) and the
/// node's inputs in the target, and returns the tensor that takes the node's place.
using Replace = std::function<graph::Tensor(graph::Graph& target, const graph::Node& node,
                                            const std::vector<graph::Tensor>& inputs)>;
void rewrite(const graph::Graph& graph, graph::Graph& target, const Replace& replace);
/// The same in place.
void rewrite(graph::Graph& graph, const Replace& replace);
/// A node with the numbers that its inputs have in another graph, for rules of ops that look at these.
graph::Node moved(const graph::Node& node, const std::vector<graph::Tensor>& inputs);

/// Adds nodes to a graph, or finds the one that it added before with equal op, inputs and attributes.
class Unique {
 public:
  graph::Tensor add(graph::Graph& target, const graph::Op& op, const std::vector<graph::Tensor>& inputs,
                    const graph::Attributes& attributes = {});

 private:
  std::unordered_map<std::string, graph::Tensor> seen_;
};

}  // namespace gan::passes
