#include "runtime/reference.h"

#include "base/error.h"

namespace gan::runtime {

using graph::Node;
using graph::Shape;

namespace {

/// The element of an operand that belongs to element `i` of the result, by numpy's broadcasting.
std::size_t broadcast_index(std::int64_t i, const Shape& result, const Shape& operand) {
  std::int64_t index = 0, stride = 1;
  for (std::size_t back = 0; back < operand.size(); ++back) {
    const std::int64_t coordinate = i % result[result.size() - 1 - back];
    i /= result[result.size() - 1 - back];
    const std::int64_t length = operand[operand.size() - 1 - back];
    if (length > 1) index += coordinate * stride;
    stride *= length;
  }
  return static_cast<std::size_t>(index);
}

void evaluate_elementwise(const graph::ReferenceCall& call) {
  const Node& node = call.node;
  const double alpha = node.attributes.has("alpha") ? node.attributes.real("alpha") : 0;
  for (std::size_t i = 0; i < call.dst.size(); ++i) {
    double operands[2] = {0, 0};
    for (std::size_t k = 0; k < call.src.size(); ++k)
      operands[k] = call.src[k][broadcast_index(static_cast<std::int64_t>(i), node.type.shape, call.types[k].shape)];
    call.dst[i] = node.op->scalar(operands[0], operands[1], alpha);
  }
}

}  // namespace

ReferenceValues evaluate_reference(const graph::Graph& graph, const ReferenceValues& inputs) {
  std::vector<std::vector<double>> values(graph.nodes().size());
  for (const Node& node : graph.nodes()) {
    std::vector<double>& value = values[static_cast<std::size_t>(node.id)];
    const auto elements = static_cast<std::size_t>(node.type.elements());
    if (!node.op) {
      const auto given = inputs.find(node.name);
      if (given == inputs.end()) base::fail_usage("input {} is missing", node.name);
      if (given->second.size() != elements)
        base::fail_usage("input {}: {} values for {}", node.name, given->second.size(), to_string(node.type));
      value = given->second;
      continue;
    }
    value.assign(elements, 0.0);
    graph::ReferenceCall call{node, {}, {}, value};
    for (graph::NodeId input : node.inputs) {
      call.types.push_back(graph.node(input).type);
      call.src.emplace_back(values[static_cast<std::size_t>(input)]);
    }
    if (node.op->elementwise())
      evaluate_elementwise(call);
    else if (node.op->reference)
      node.op->reference(call);
    else  // a view of all of its input
      std::copy(call.src[0].begin(), call.src[0].end(), value.begin());
  }
  ReferenceValues outputs;
  for (const auto& [name, id] : graph.outputs()) outputs[name] = values[static_cast<std::size_t>(id)];
  return outputs;
}

}  // namespace gan::runtime
