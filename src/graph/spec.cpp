#include "graph/spec.h"

namespace gan::graph {

namespace {

double count(const Shape& shape) { return static_cast<double>(element_count(shape)); }

struct Operations {
  double operator()(const Matmul& s) const {
    return 2.0 * static_cast<double>(s.m) * static_cast<double>(s.n) * static_cast<double>(s.k);
  }
  double operator()(const Convolution& s) const {
    return 2.0 * count(s.dst) * static_cast<double>(element_count(s.weights) / s.weights[0]);
  }
  double operator()(const Reduce& s) const { return count(s.from); }
  double operator()(const ScatterAdd& s) const { return static_cast<double>(s.count * s.width); }
  double operator()(const Random& s) const { return 50.0 * static_cast<double>(s.count); }
  template <typename Other>
  double operator()(const Other&) const {
    return 0;  // copies
  }
};

}  // namespace

double operations(const Spec& spec) { return std::visit(Operations(), spec); }

}  // namespace gan::graph
