#include "base/error.h"
#include "base/text.h"
#include "ops/support.h"

// A convolution and its two gradients: a closed set of bilinear operations, each the derivative of the others.
namespace gan::ops {

namespace {

using graph::Convolution;
using Kind = Convolution::Kind;

/// The shapes of src, weights and dst from those of the two operands.
Convolution convolution_of(Kind kind, const graph::TensorType& a, const graph::TensorType& b,
                           const graph::Attributes& attributes) {
  Convolution c{.kind = kind,
                .src = a.shape,
                .weights = b.shape,
                .dst = {},
                .stride = attributes.integer("stride"),
                .padding = attributes.integer("padding"),
                .operands = a.dtype};
  const std::int64_t groups = attributes.integer("groups");
  if (kind == Kind::forward) {
    const auto length = [&](std::size_t axis) {
      return (c.src[axis] + 2 * c.padding - c.weights[axis + 1]) / c.stride + 1;
    };
    c.dst = {c.src[0], length(1), length(2), c.weights[0]};
  } else if (kind == Kind::data_gradient) {
    c.dst = a.shape;
    c.src = {c.dst[0], attributes.integer("height"), attributes.integer("width"), c.weights[1] * groups};
  } else {
    c.dst = b.shape;
    c.weights = {c.dst[3], c.src[3] / groups, attributes.integer("height"), attributes.integer("width")};
  }
  return c;
}

template <Kind kind>
graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  for (const graph::TensorType& input : inputs) {
    expect_rank(input, 4, "an operand");
    expect_real(input, "an operand");
  }
  if (inputs[0].dtype != inputs[1].dtype)
    base::fail_usage("operands of types {} and {}; expected one type", name_of(inputs[0].dtype),
                     name_of(inputs[1].dtype));
  if (attributes.integer("stride") < 1 || attributes.integer("padding") < 0)
    base::fail_usage("stride {} and padding {}; expected a stride of 1 or more and a padding of 0 or more",
                     attributes.integer("stride"), attributes.integer("padding"));
  const std::int64_t groups = attributes.integer("groups");
  if (groups < 1) base::fail_usage("{} groups, expected 1 or more", groups);
  const Convolution c = convolution_of(kind, inputs[0], inputs[1], attributes);
  // dst must have the shape that src and weights give.
  const auto length = [&](std::size_t axis) {
    const std::int64_t room = c.src[axis] + 2 * c.padding - c.weights[axis + 1];
    return room < 0 ? -1 : room / c.stride + 1;
  };
  if (c.dst != Shape{c.src[0], length(1), length(2), c.weights[0]} || c.src[3] != c.weights[1] * groups ||
      c.dst[3] % groups != 0)
    base::fail_usage("src {}, weights {} and dst {} do not fit (stride {}, padding {}, {})", to_string(c.src),
                     to_string(c.weights), to_string(c.dst), c.stride, c.padding, base::counted(groups, "group"));
  return {DType::f32, c.result_shape()};
}

template <Kind kind>
graph::Spec describe(const graph::Graph& graph, const graph::Node& node) {
  return convolution_of(kind, input_type(graph, node, 0), input_type(graph, node, 1), node.attributes);
}

template <Kind kind>
Gradients derivative(const graph::Node& node, Tensor result, Tensor gradient) {
  const Tensor a = input(node, 0, result), b = input(node, 1, result);
  const std::int64_t stride = node.attributes.integer("stride"), padding = node.attributes.integer("padding"),
                     groups = node.attributes.integer("groups");
  if (kind == Kind::forward)
    return {conv2d_data_gradient(gradient, b, stride, padding, a.dim(1), a.dim(2), groups),
            conv2d_weight_gradient(a, gradient, stride, padding, b.dim(2), b.dim(3), groups)};
  if (kind == Kind::data_gradient)
    return {conv2d(gradient, b, stride, padding, groups),
            conv2d_weight_gradient(gradient, a, stride, padding, b.dim(2), b.dim(3), groups)};
  return {conv2d_data_gradient(b, gradient, stride, padding, a.dim(1), a.dim(2), groups),
          conv2d(a, gradient, stride, padding, groups)};
}

}  // namespace

extern const graph::Op conv2d_op{
    .name = "conv2d",
    .inputs = 2,
    .infer = infer<Kind::forward>,
    .derivative = derivative<Kind::forward>,
    .describe = describe<Kind::forward>,
    .contraction = true,
    .keeps_rows = [](const graph::Graph&, const graph::Node&) { return true; },
};

extern const graph::Op conv2d_data_gradient_op{
    .name = "conv2d_data_gradient",
    .inputs = 2,
    .infer = infer<Kind::data_gradient>,
    .derivative = derivative<Kind::data_gradient>,
    .describe = describe<Kind::data_gradient>,
    .contraction = true,
    .keeps_rows = [](const graph::Graph&, const graph::Node&) { return true; },
};

extern const graph::Op conv2d_weight_gradient_op{
    .name = "conv2d_weight_gradient",
    .inputs = 2,
    .infer = infer<Kind::weight_gradient>,
    .derivative = derivative<Kind::weight_gradient>,
    .describe = describe<Kind::weight_gradient>,
    .contraction = true,
};

Tensor conv2d(Tensor src, Tensor weights, std::int64_t stride, std::int64_t padding, std::int64_t groups) {
  return src.graph->add(conv2d_op, {src, weights}, {{"stride", stride}, {"padding", padding}, {"groups", groups}});
}

Tensor conv2d_data_gradient(Tensor gradient, Tensor weights, std::int64_t stride, std::int64_t padding,
                            std::int64_t height, std::int64_t width, std::int64_t groups) {
  return gradient.graph->add(
      conv2d_data_gradient_op, {gradient, weights},
      {{"stride", stride}, {"padding", padding}, {"height", height}, {"width", width}, {"groups", groups}});
}

Tensor conv2d_weight_gradient(Tensor src, Tensor gradient, std::int64_t stride, std::int64_t padding,
                              std::int64_t kernel_height, std::int64_t kernel_width, std::int64_t groups) {
  return src.graph->add(conv2d_weight_gradient_op, {src, gradient},
                        {{"stride", stride},
                         {"padding", padding},
                         {"height", kernel_height},
                         {"width", kernel_width},
                         {"groups", groups}});
}

}  // namespace gan::ops
