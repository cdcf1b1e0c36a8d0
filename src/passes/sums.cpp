#include "ops/ops.h"
#include "passes/pass.h"

namespace gan::passes {

using graph::Graph;
using graph::Node;
using graph::Shape;
using graph::Tensor;

namespace {
constexpr std::int64_t kFewestColumns = 64;  // with fewer, splitting the sum gains little
}

void sums(Graph& graph, const graph::Target& target) {
  rewrite(graph, [&](Graph& rewritten, const Node& node, const std::vector<Tensor>& inputs) {
    const graph::Op* maker = inputs.empty() ? nullptr : rewritten.node(inputs[0].id).op;
    if (node.op == &ops::sum_op && node.type.elements() == 1 && maker && maker->elementwise() &&
        inputs[0].shape().size() > 1 && inputs[0].shape().back() >= kFewestColumns) {
      Shape row(inputs[0].shape().size(), 1);
      row.back() = inputs[0].shape().back();
      const Tensor rows = ops::sum_to(inputs[0], row);
      if (is_sum_of_rows(target, rewritten, rewritten.node(rows.id))) return ops::sum_to(rows, node.type.shape);
    }
    return rewritten.add(*node.op, inputs, node.attributes);
  });
  dce(graph);  // row sums that the target does not fuse
}

}  // namespace gan::passes
