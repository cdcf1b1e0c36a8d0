#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const graph::TensorType key{DType::i32, {2}}, number{DType::i32, {1}};
  if (inputs.size() < 2 || inputs.size() > 3) base::fail_usage("{} tensors given, 2 or 3 expected", inputs.size());
  if (inputs[0] != key || inputs[1] != number)
    base::fail_usage("key {} and step {}: i32[2] and i32[1] expected", to_string(inputs[0]), to_string(inputs[1]));
  if (inputs.size() == 3 && inputs[2] != number) base::fail_usage("part {}: i32[1] expected", to_string(inputs[2]));
  return {DType::f32, attributes.integers("shape")};
}

template <graph::Random::Kind kind>
graph::Spec describe(const graph::Graph&, const graph::Node& node) {
  return graph::Random{.kind = kind,
                       .stream = static_cast<std::uint32_t>(node.attributes.integer("stream")),
                       .count = node.type.elements(),
                       .by_part = node.inputs.size() == 3};
}

Tensor add_random(const graph::Op& op, const RandomSource& source, std::uint32_t stream, const Shape& shape) {
  std::vector<Tensor> inputs{source.key, source.step};
  if (source.part) inputs.push_back(*source.part);
  return source.key.graph->add(op, inputs, {{"stream", std::int64_t{stream}}, {"shape", shape}});
}

}  // namespace

extern const graph::Op random_normal_op{
    .name = "random_normal",
    .infer = infer,
    .describe = describe<graph::Random::Kind::normal>,
};

extern const graph::Op random_uniform_op{
    .name = "random_uniform",
    .infer = infer,
    .describe = describe<graph::Random::Kind::uniform>,
};

Tensor random_normal(const RandomSource& source, std::uint32_t stream, const Shape& shape) {
  return add_random(random_normal_op, source, stream, shape);
}

Tensor random_uniform(const RandomSource& source, std::uint32_t stream, const Shape& shape) {
  return add_random(random_uniform_op, source, stream, shape);
}

}  // namespace gan::ops
