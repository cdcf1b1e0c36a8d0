#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "graph/graph.h"

namespace gan::test {

/// One argument of an op under test.
struct Argument {
  graph::TensorType type;
  double low = -2, high = 2;  ///< values are uniform between these
  bool differentiable = true;
  double away_from_zero = 0;  ///< the least absolute value, so that finite differences do not step over a kink
};

/// A use of an op: it is compared with the reference, differentiated twice, and run with each pass on and off.
struct OpCase {
  std::string op;
  std::string name;
  std::vector<Argument> arguments;
  std::function<graph::Tensor(const std::vector<graph::Tensor>&)> build;
  double tolerance = 2e-6;  ///< relative norm of f32 against float64
};

/// A use of an op that must be refused with a usage error whose message contains `message`.
struct OpError {
  std::string op;
  std::string name;
  std::string message;
  std::function<void(graph::Graph&)> build;
};

inline void PrintTo(const OpCase& test, std::ostream* out) { *out << test.op << " " << test.name; }

std::vector<OpCase> op_cases();
std::vector<OpError> op_errors();

}  // namespace gan::test
