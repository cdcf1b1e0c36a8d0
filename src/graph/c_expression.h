#pragma once

#include <string>

#include "graph/chain.h"

namespace gan::graph {

/// The value of an elementwise op in C and the languages that have its expressions and <math.h>'s functions of float.
/// a, b and alpha are names, elements of arrays or literals, which may be evaluated several times. Throws a run error
/// for ElementwiseOp::none.
std::string c_expression(ElementwiseOp op, const std::string& a, const std::string& b, const std::string& alpha);

}  // namespace gan::graph
