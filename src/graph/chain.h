#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/type.h"

namespace gan::graph {

class Graph;
using NodeId = std::int32_t;

/// Elementwise operations of a chain: dst = op(a, b), with the constant alpha where one is named.
enum class ElementwiseOp : std::uint8_t {
  none,
  copy,
  add,
  sub,
  mul,
  div,
  maximum,
  square,
  sqrt,
  exp,
  expm1,
  log,
  tanh,
  sigmoid,   ///< 1 / (1 + exp(-a))
  softplus,  ///< log(1 + exp(a))
  relu,
  step,        ///< 1 where a > 0, else 0
  leaky_relu,  ///< a where a > 0, else alpha * a
  leaky_step,  ///< 1 where a > 0, else alpha
};
inline constexpr auto kLastElementwiseOp = ElementwiseOp::leaky_step;

/// Whether `op` has two operands.
constexpr bool is_binary(ElementwiseOp op) { return op >= ElementwiseOp::add && op <= ElementwiseOp::maximum; }

/// Which element of an operand element i of the chain reads: full i, scalar 0, row i % period, column i / period,
/// strided: by the strides of the axes. `product`: element i of the result of the Spec that the chain follows. `sum` is
/// for results alone: element i is added to element i % period of the result, where the period is the length of a row.
enum class Access : std::uint8_t { full, scalar, row, column, strided, product, sum };

/// An operand of a chain.
struct ChainOperand {
  DType dtype = DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
  Shape lengths = {},
        strides = {};  ///< strided only: of the chain's axes; the stride is 0 where the operand is repeated
};

/// One operation of a chain.
struct Instruction {
  ElementwiseOp op = ElementwiseOp::copy;
  int a = 0, b = 0;  ///< slots that are read
  int dst = 0;       ///< slot that is written
  float alpha = 0;
};

/// A slot that is stored (access full) or added up over rows (access sum, f32). It is the dst of an instruction.
struct ChainResult {
  int source = 0;  ///< slot
  DType dtype = DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
};

/// Elementwise operations over `elements` elements of one shape, alone or behind a Spec whose result is an operand.
/// Slots are numbered operands first, then constants, then the results of instructions. Values between operands and
/// results are f32. A result may lie in the memory of an operand of full access.
struct Chain {
  std::int64_t elements = 0;
  std::vector<ChainOperand> operands;
  std::vector<float> constants;
  std::vector<Instruction> instructions;
  std::vector<ChainResult> results;
};

/// How to read an operand of this shape where the result has that shape. Sets access, period, lengths and strides.
ChainOperand broadcast_operand(const Shape& operand, const Shape& result);

/// The element of an operand that element `i` of the chain reads.
std::size_t operand_index(const ChainOperand& operand, std::size_t i);

/// A chain made of nodes of a graph, and the nodes that its operands and results are.
struct ChainOfNodes {
  Chain chain;
  std::vector<NodeId> operands, results;  ///< in the order of the chain's; the operand of access `product` is its node
};

/// The chain that computes these nodes, elementwise ones and sums over rows. `product`: the node whose result they read
/// piece by piece, -1 for none. `is_stored` says which nodes' values are results, sums always are.
ChainOfNodes chain_of(const Graph& graph, const std::vector<NodeId>& nodes, NodeId product,
                      const std::function<bool(NodeId)>& is_stored);

}  // namespace gan::graph
