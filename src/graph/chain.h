#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

#include "graph/type.h"

namespace gan::graph {

class Graph;
using NodeId = std::int32_t;

/// Elementwise operations of a chain: dst = op(a, b), some with the constant alpha.
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

/// How element i of a chain indexes an operand or a result. full: i. scalar: 0. row: i % period. column: i / period.
/// strided: by `lengths` and `strides`. product (operands): element i of the result of the Spec before the chain. sum
/// (results): element i is added to element i % period, where the period is the row length.
enum class Access : std::uint8_t { full, scalar, row, column, strided, product, sum };

/// An operand of a chain.
struct ChainOperand {
  DType dtype = DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
  Shape lengths = {}, strides = {};  ///< strided only: the axes of the chain; stride 0 where the operand is broadcast
};

/// One operation of a chain.
struct Instruction {
  ElementwiseOp op = ElementwiseOp::copy;
  int a = 0, b = 0;  ///< slots of the operands
  int dst = 0;       ///< slot of the result
  float alpha = 0;
};

/// A result: the slot `source`, which is the dst of an instruction, stored (access full) or summed over rows (access
/// sum, f32).
struct ChainResult {
  int source = 0;
  DType dtype = DType::f32;
  Access access = Access::full;
  std::int64_t period = 1;
};

/// Elementwise operations of one kernel over `elements` elements of one shape, alone or as the epilogue of a Spec,
/// whose result is the operand of access `product`. Values have slots: first the operands, then the constants, then the
/// results of instructions. Intermediate values are f32. A result may be written over an operand of access full.
template <typename Operand, typename Result>
struct BasicChain {
  std::int64_t elements = 0;
  std::vector<Operand> operands;
  std::vector<float> constants;
  std::vector<Instruction> instructions;
  std::vector<Result> results;
};
using Chain = BasicChain<ChainOperand, ChainResult>;

/// The access by which an operand of one shape broadcasts to the shape of the result.
ChainOperand broadcast_operand(const Shape& operand, const Shape& result);

/// The index in an operand that element `i` of the chain reads.
std::size_t operand_index(const ChainOperand& operand, std::size_t i);

/// A chain built from nodes of a graph, and the nodes of its operands and results.
struct ChainOfNodes {
  Chain chain;
  std::vector<NodeId> operands, results;  ///< in the order of the chain; the operand of access `product` is included
};

/// Builds the chain of these elementwise nodes and sums over rows. `product`: the node before the chain whose result it
/// reads, -1 if none. `is_stored`: the nodes that become results; sums always do.
ChainOfNodes chain_of(const Graph& graph, const std::vector<NodeId>& nodes, NodeId product,
                      const std::function<bool(NodeId)>& is_stored);

}  // namespace gan::graph
