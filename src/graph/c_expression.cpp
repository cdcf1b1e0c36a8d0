#include "graph/c_expression.h"

#include <fmt/core.h>

#include "base/error.h"

namespace gan::graph {

std::string c_expression(ElementwiseOp op, const std::string& a, const std::string& b, const std::string& alpha) {
  const auto call = [&](const char* function) { return fmt::format("{}({})", function, a); };
  switch (op) {
    case ElementwiseOp::none:
      break;
    case ElementwiseOp::copy:
      return a;
    case ElementwiseOp::add:
      return a + " + " + b;
    case ElementwiseOp::sub:
      return a + " - " + b;
    case ElementwiseOp::mul:
      return a + " * " + b;
    case ElementwiseOp::div:
      return a + " / " + b;
    case ElementwiseOp::maximum:  // NaN if a is NaN, as in numpy
      return fmt::format("{0} > {1} || {0} != {0} ? {0} : {1}", a, b);
    case ElementwiseOp::square:
      return a + " * " + a;
    case ElementwiseOp::sqrt:
      return call("sqrtf");
    case ElementwiseOp::exp:
      return call("expf");
    case ElementwiseOp::expm1:
      return call("expm1f");
    case ElementwiseOp::log:
      return call("logf");
    case ElementwiseOp::tanh:
      return call("tanhf");
    case ElementwiseOp::sigmoid:
      return fmt::format("1.0f / (1.0f + expf(-({})))", a);
    case ElementwiseOp::softplus:
      return fmt::format("({0} < 0.0f ? 0.0f : {0}) + log1pf(expf(-fabsf({0})))", a);
    case ElementwiseOp::relu:
      return fmt::format("{0} <= 0.0f ? 0.0f : {0}", a);
    case ElementwiseOp::step:
      return a + " > 0.0f ? 1.0f : 0.0f";
    case ElementwiseOp::leaky_relu:
      return fmt::format("{0} > 0.0f ? {0} : {1} * {0}", a, alpha);
    case ElementwiseOp::leaky_step:
      return fmt::format("{} > 0.0f ? 1.0f : {}", a, alpha);
  }
  base::fail_run("elementwise operation {} has no expression in C", static_cast<int>(op));
}

}  // namespace gan::graph
