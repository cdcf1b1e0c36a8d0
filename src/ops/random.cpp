#include "base/error.h"
#include "ops/support.h"

namespace gan::ops {

namespace {

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const bool fits = inputs[0] == graph::TensorType{DType::i32, {2}} && inputs[1] == graph::TensorType{DType::i32, {1}};
  if (!fits)
    base::fail_usage("key {} and step {}: i32[2] and i32[1] expected", to_string(inputs[0]), to_string(inputs[1]));
  return {DType::f32, attributes.integers("shape")};
}

template <graph::Random::Kind kind>
graph::Spec describe(const graph::Graph&, const graph::Node& node) {
  return graph::Random{.kind = kind,
                       .stream = static_cast<std::uint32_t>(node.attributes.integer("stream")),
                       .count = node.type.elements()};
}

Tensor add_random(const graph::Op& op, Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return key.graph->add(op, {key, step}, {{"stream", std::int64_t{stream}}, {"shape", shape}});
}

}  // namespace

extern const graph::Op random_normal_op{
    .name = "random_normal",
    .inputs = 2,
    .infer = infer,
    .describe = describe<graph::Random::Kind::normal>,
};

extern const graph::Op random_uniform_op{
    .name = "random_uniform",
    .inputs = 2,
    .infer = infer,
    .describe = describe<graph::Random::Kind::uniform>,
};

Tensor random_normal(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return add_random(random_normal_op, key, step, stream, shape);
}

Tensor random_uniform(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return add_random(random_uniform_op, key, step, stream, shape);
}

}  // namespace gan::ops
