#pragma once

#include <cstddef>
#include <span>
#include <vector>

#include "graph/chain.h"
#include "graph/spec.h"

// Specs and Chains evaluated by plain loops in float64, written from their definitions (graph/spec.h, graph/chain.h).
// Shares no code with the backends, which are tested against it.
namespace gan::runtime::reference {

/// Elements of a tensor, row-major; i32 as float64, too.
using Values = std::vector<double>;

/// The result of a Spec for these inputs.
Values evaluate(const graph::Spec& spec, std::span<const Values> inputs);

/// The results of a Chain. The operand of access `product` holds the elements of the product.
std::vector<Values> evaluate(const graph::Chain& chain, std::span<const Values> operands);

/// For each element of a result of shape `result`: the index in an operand of shape `operand` that it reads.
std::vector<std::size_t> broadcast_indices(const graph::Shape& operand, const graph::Shape& result);

/// The value of an elementwise operation.
double evaluate(graph::ElementwiseOp op, double a, double b, double alpha);

}  // namespace gan::runtime::reference
