#include "runtime/reference/reference.h"

#include "base/error.h"
#include "runtime/reference/spec.h"

namespace gan::runtime {

using graph::Node;
using reference::Values;

namespace {

Values evaluate_elementwise(const graph::Graph& graph, const Node& node, const std::vector<Values>& inputs) {
  const double alpha = node.attributes.has("alpha") ? node.attributes.real("alpha") : 0;
  std::vector<std::vector<std::size_t>> indices;
  for (const graph::NodeId input : node.inputs)
    indices.push_back(reference::broadcast_indices(graph.node(input).type.shape, node.type.shape));
  Values result;
  for (std::size_t i = 0; i < static_cast<std::size_t>(node.type.elements()); ++i) {
    double operands[2] = {0, 0};
    for (std::size_t k = 0; k < inputs.size(); ++k) operands[k] = inputs[k][indices[k][i]];
    result.push_back(node.op->scalar(operands[0], operands[1], alpha));
  }
  return result;
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
    std::vector<Values> read;
    for (graph::NodeId input : node.inputs) read.push_back(values[static_cast<std::size_t>(input)]);
    if (node.op->elementwise())
      value = evaluate_elementwise(graph, node, read);
    else if (node.is_constant())
      value.assign(elements, node.attributes.real("value"));
    else if (node.op->describe)
      value = reference::evaluate(node.op->describe(graph, node), read);
    else  // a view of all of its input
      value = read[0];
  }
  ReferenceValues outputs;
  for (const auto& [name, id] : graph.outputs()) outputs[name] = values[static_cast<std::size_t>(id)];
  return outputs;
}

}  // namespace gan::runtime
