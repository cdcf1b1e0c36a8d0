#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

extern const graph::Op all_reduce_op{
    .name = "all_reduce",
    .infer = [](std::span<const graph::TensorType> inputs, const graph::Attributes&) -> graph::TensorType {
      if (inputs.empty()) base::fail_usage("no tensors given");
      std::int64_t elements = 0;
      for (const graph::TensorType& input : inputs) {
        if (input.dtype != DType::f32) base::fail_usage("{} given, f32 expected", to_string(input));
        elements += input.elements();
      }
      return {DType::f32, {elements}};
    },
    // A loss of every part depends on the sum, so the gradient with respect to a summand is the sum of all gradients.
    .derivative = [](const graph::Node& node, Tensor result, Tensor gradient) -> Gradients {
      std::vector<Shape> shapes;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) shapes.push_back(input(node, i, result).shape());
      const std::vector<Tensor> gradients = unflatten(all_reduce({gradient}), shapes);
      return {gradients.begin(), gradients.end()};
    },
    .describe = [](const graph::Graph& graph, const graph::Node& node) -> graph::Spec {
      graph::AllReduce spec;
      for (std::size_t i = 0; i < node.inputs.size(); ++i) spec.counts.push_back(input_type(graph, node, i).elements());
      return spec;
    },
};

Tensor all_reduce(const std::vector<Tensor>& tensors) {
  if (tensors.empty()) base::fail_usage("all_reduce: no tensors given");
  return tensors[0].graph->add(all_reduce_op, tensors);
}

std::vector<Tensor> unflatten(Tensor flat, const std::vector<Shape>& shapes) {
  std::vector<Tensor> tensors;
  std::int64_t begin = 0;
  for (const Shape& shape : shapes) {
    const std::int64_t elements = graph::element_count(shape);
    tensors.push_back(reshape(slice(flat, 0, begin, elements), shape));
    begin += elements;
  }
  return tensors;
}

}  // namespace gan::ops
