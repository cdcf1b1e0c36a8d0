#include <algorithm>

#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Shape;
using graph::Tensor;

void sums(Graph& graph) {
  rewrite(graph, [&](Graph& target, const Node& node, const std::vector<Tensor>& inputs) {
    const auto sum = [&](Tensor x, const Shape& shape) {
      return target.add(graph::find_op("sum"), {x}, {{"shape", shape}});
    };
    if (node.op->name == "sum" && node.type.elements() == 1 && inputs[0].shape().size() > 1) {
      Shape row(inputs[0].shape().size(), 1);
      row.back() = inputs[0].shape().back();
      if (row.back() > 1 && row != inputs[0].shape()) return sum(sum(inputs[0], row), node.type.shape);
    }
    return target.add(*node.op, inputs, node.attributes);
  });
}

}  // namespace gan::passes
