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
  bool bf16_only = false;  ///< skipped in f32 programs
};

/// Removes nodes that no output needs. Inputs stay.
void dce(graph::Graph& graph);
/// Merges nodes with equal op, inputs and attributes. Random ops are functions of their inputs, so they merge, too.
void cse(graph::Graph& graph);
/// Applies the `fold` function of each op in one sweep from the inputs to the outputs.
void fold(graph::Graph& graph);
/// Moves factors that are constant in each row behind the matrix products and convolutions that act on each row alone,
/// to be multiplied as late as possible.
/// Backward passes that differ by such factors only (the gradients of two losses, or of a penalty) then become one.
void sink(graph::Graph& graph);
/// Shrinks matrix products to the rows and columns that slices of them read. Example: of the gradient with respect to
/// the input of D, samples next to label embeddings, each network needs one part.
void narrow(graph::Graph& graph);
/// Rounds the operands of contractions (matmul, convolution) to bf16; accumulation and everything else stay f32. Matrix
/// products that are only multiplied and summed to a scalar (the gradient of the scale of spectral norm) are stored as
/// bf16, too, where their kernel can round them.
void precision(graph::Graph& graph);
/// Splits a sum of all elements of a matrix into a sum over rows, which the target fuses into a chain, and the sum of
/// the resulting row.
void sums(graph::Graph& graph, const graph::Target& target);
/// Turns the bf16 copy of a state into a state of its own, NAME.bf16, so that the kernel that writes the next value of
/// the state also writes the rounded copy.
void carry(graph::Graph& graph);

/// Fuses a contraction with the elementwise ops (scale, bias, activation, rounding) that are the only readers of its
/// result.
inline constexpr std::string_view kFuseEpilogue = "fuse-epilogue";
/// Fuses elementwise ops of one shape into chains that keep intermediate values out of memory.
inline constexpr std::string_view kFuseElementwise = "fuse-elementwise";

/// Every pass over graphs in the order the compiler runs them.
std::span<const Pass> pass_table();

/// The fusions to use, of those that the target supports.
struct Fusion {
  bool epilogue = true, elementwise = true;
  bool chain = true;  ///< contractions run chains, chains sum over rows; needs the other two
};
/// Assigns nodes to kernels and orders the kernels. Without fusion each node is a kernel.
graph::Schedule schedule(const graph::Graph& graph, const graph::Target& target, const Fusion& fusion);

/// Rebuilds a graph in the empty graph `to`, node by node. Inputs of the graph are copied; for each other node
/// `replace` gets the tensors of `to` that replace the node's inputs, and returns what replaces the node.
using Replace =
    std::function<graph::Tensor(graph::Graph& to, const graph::Node& node, const std::vector<graph::Tensor>& inputs)>;
void rewrite(const graph::Graph& graph, graph::Graph& to, const Replace& replace);
/// The same in place.
void rewrite(graph::Graph& graph, const Replace& replace);
/// A copy of `node` whose input ids are those of `inputs`, for functions of ops that inspect them.
graph::Node with_inputs(const graph::Node& node, const std::vector<graph::Tensor>& inputs);

/// Adds nodes to a graph, or returns one added before with equal op, inputs and attributes.
class Unique {
 public:
  graph::Tensor add(graph::Graph& rewritten, const graph::Op& op, const std::vector<graph::Tensor>& inputs,
                    const graph::Attributes& attributes = {});

 private:
  std::unordered_map<std::string, graph::Tensor> seen_;
};

}  // namespace gan::passes
