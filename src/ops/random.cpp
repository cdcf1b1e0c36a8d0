#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/parallel.h"
#include "base/random.h"
#include "ops/support.h"
#include "runtime/lowering.h"
#include "runtime/random.h"

namespace gan::ops {

namespace {

constexpr std::int64_t kGrain = 256;  // blocks of four values that are worth a thread

graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  const bool fits = inputs[0] == graph::TensorType{DType::i32, {2}} && inputs[1] == graph::TensorType{DType::i32, {1}};
  if (!fits)
    base::fail_usage("key {} and step {}: i32[2] and i32[1] expected", to_string(inputs[0]), to_string(inputs[1]));
  return {DType::f32, attributes.integers("shape")};
}

base::RandomStream make_stream(std::uint32_t low, std::uint32_t high, std::uint32_t step, std::int64_t stream) {
  return {std::uint64_t{high} << 32 | low, static_cast<std::uint32_t>(stream), step};
}

/// The first `count` values from a block on.
using Fill = void (*)(const base::RandomStream&, std::uint64_t block, float* dst, std::size_t count);

template <Fill fill>
void lower(runtime::Lowering& lowering) {
  const auto* key = lowering.src<std::uint32_t>(0);
  const auto* step = lowering.src<std::uint32_t>(1);
  auto* dst = lowering.dst<float>();
  const std::int64_t count = lowering.dst_type().elements(), number = lowering.attributes().integer("stream");
  lowering.emit(50.0 * static_cast<double>(count), [=] {
    const base::RandomStream random = make_stream(key[0], key[1], *step, number);
    base::parallel_for((count + 3) / 4, kGrain, [&](std::int64_t begin, std::int64_t end) {
      fill(random, static_cast<std::uint64_t>(begin), dst + 4 * begin,
           static_cast<std::size_t>(std::min(4 * end, count) - 4 * begin));
    });
  });
}

/// The four values of one block.
using Block = std::array<float, 4> (base::RandomStream::*)(std::uint64_t block) const;

template <Block block>
void reference(const graph::ReferenceCall& call) {
  const auto word = [](double value) { return static_cast<std::uint32_t>(static_cast<std::int64_t>(value)); };
  const base::RandomStream random = make_stream(word(call.src[0][0]), word(call.src[0][1]), word(call.src[1][0]),
                                                call.node.attributes.integer("stream"));
  for (std::size_t i = 0; i < call.dst.size(); ++i) call.dst[i] = static_cast<double>((random.*block)(i / 4)[i % 4]);
}

Tensor add_random(const graph::Op& op, Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return key.graph->add(op, {key, step}, {{"stream", std::int64_t{stream}}, {"shape", shape}});
}

}  // namespace

extern const graph::Op random_normal_op;
const graph::Op random_normal_op{
    .name = "random_normal",
    .inputs = 2,
    .infer = infer,
    .reference = reference<&base::RandomStream::normals>,
    .lower = lower<runtime::normals>,
};

extern const graph::Op random_uniform_op;
const graph::Op random_uniform_op{
    .name = "random_uniform",
    .inputs = 2,
    .infer = infer,
    .reference = reference<&base::RandomStream::uniforms>,
    .lower = lower<runtime::uniforms>,
};

Tensor random_normal(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return add_random(random_normal_op, key, step, stream, shape);
}

Tensor random_uniform(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape) {
  return add_random(random_uniform_op, key, step, stream, shape);
}

}  // namespace gan::ops
