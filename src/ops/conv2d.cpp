#include "base/error.h"
#include "ops/support.h"
#include "runtime/lowering.h"
#include "runtime/unfolded.h"

// A convolution and its two gradients: a closed set of bilinear operations, each the derivative of the others.
namespace gan::ops {

namespace {

using Kind = runtime::ConvolutionSpec::Kind;

/// The shapes of the three tensors that belong together.
struct Geometry {
  Shape src, weights, dst;
  std::int64_t stride, padding;
};

Geometry geometry_of(Kind kind, const Shape& a, const Shape& b, const graph::Attributes& attributes) {
  Geometry g{{}, {}, {}, attributes.integer("stride"), attributes.integer("padding")};
  if (kind == Kind::forward) {
    g.src = a;
    g.weights = b;
    const auto length = [&](std::size_t axis) { return (a[axis] + 2 * g.padding - b[axis + 1]) / g.stride + 1; };
    g.dst = {a[0], length(1), length(2), b[0]};
  } else if (kind == Kind::data_gradient) {
    g.dst = a;
    g.weights = b;
    g.src = {a[0], attributes.integer("height"), attributes.integer("width"), b[1]};
  } else {
    g.src = a;
    g.dst = b;
    g.weights = {b[3], a[3], attributes.integer("height"), attributes.integer("width")};
  }
  return g;
}

template <Kind kind>
graph::TensorType infer(std::span<const graph::TensorType> inputs, const graph::Attributes& attributes) {
  for (const graph::TensorType& input : inputs) {
    expect_rank(input, 4, "an operand");
    expect_real(input, "an operand");
  }
  if (inputs[0].dtype != inputs[1].dtype)
    base::fail_usage("operands of types {} and {}", name_of(inputs[0].dtype), name_of(inputs[1].dtype));
  if (attributes.integer("stride") < 1 || attributes.integer("padding") < 0)
    base::fail_usage("stride {} and padding {}", attributes.integer("stride"), attributes.integer("padding"));
  const Geometry g = geometry_of(kind, inputs[0].shape, inputs[1].shape, attributes);
  // The three must agree: computing dst from the other two gives the dst at hand.
  const auto length = [&](std::size_t axis) {
    const std::int64_t room = g.src[axis] + 2 * g.padding - g.weights[axis + 1];
    return room < 0 ? -1 : room / g.stride + 1;
  };
  if (g.dst != Shape{g.src[0], length(1), length(2), g.weights[0]} || g.src[3] != g.weights[1])
    base::fail_usage("src {}, weights {} and dst {} do not fit (stride {}, padding {})", to_string(g.src),
                     to_string(g.weights), to_string(g.dst), g.stride, g.padding);
  return {DType::f32, kind == Kind::forward ? g.dst : kind == Kind::data_gradient ? g.src : g.weights};
}

/// Calls visit(src index, weights index, dst index) for every product of the convolution.
template <typename Visit>
void for_each_product(const Geometry& g, const Visit& visit) {
  const std::int64_t H = g.src[1], W = g.src[2], I = g.src[3], KH = g.weights[2], KW = g.weights[3];
  for (std::int64_t n = 0; n < g.dst[0]; ++n)
    for (std::int64_t y = 0; y < g.dst[1]; ++y)
      for (std::int64_t x = 0; x < g.dst[2]; ++x)
        for (std::int64_t o = 0; o < g.dst[3]; ++o)
          for (std::int64_t ky = 0; ky < KH; ++ky)
            for (std::int64_t kx = 0; kx < KW; ++kx) {
              const std::int64_t sy = y * g.stride - g.padding + ky, sx = x * g.stride - g.padding + kx;
              if (sy < 0 || sy >= H || sx < 0 || sx >= W) continue;
              for (std::int64_t i = 0; i < I; ++i)
                visit(static_cast<std::size_t>(((n * H + sy) * W + sx) * I + i),
                      static_cast<std::size_t>(((o * I + i) * KH + ky) * KW + kx),
                      static_cast<std::size_t>(((n * g.dst[1] + y) * g.dst[2] + x) * g.dst[3] + o));
            }
}

template <Kind kind>
void reference(const graph::ReferenceCall& call) {
  const Geometry g = geometry_of(kind, call.types[0].shape, call.types[1].shape, call.node.attributes);
  std::fill(call.dst.begin(), call.dst.end(), 0.0);
  for_each_product(g, [&](std::size_t src, std::size_t weight, std::size_t dst) {
    if (kind == Kind::forward) call.dst[dst] += call.src[0][src] * call.src[1][weight];
    if (kind == Kind::data_gradient) call.dst[src] += call.src[0][dst] * call.src[1][weight];
    if (kind == Kind::weight_gradient) call.dst[weight] += call.src[0][src] * call.src[1][dst];
  });
}

template <Kind kind>
void lower(runtime::Lowering& lowering) {
  const Geometry g = geometry_of(kind, lowering.src_shape(0), lowering.src_shape(1), lowering.attributes());
  const double operations = 2.0 * static_cast<double>(graph::element_count(g.dst)) *
                            static_cast<double>(graph::element_count(g.weights) / g.weights[0]);
  const runtime::ConvolutionSpec spec{.kind = kind,
                                      .src = g.src,
                                      .weights = g.weights,
                                      .dst = g.dst,
                                      .stride = g.stride,
                                      .padding = g.padding,
                                      .operand_dtype = lowering.src_type(0).dtype,
                                      .result_dtype = lowering.dst_type().dtype,
                                      .a = lowering.src(0),
                                      .b = lowering.src(1),
                                      .result = lowering.dst(),
                                      .post_ops = lowering.post_ops()};
  lowering.emit(operations, runtime::convolution_is_unfolded(spec) ? runtime::unfolded_convolution_kernel(spec)
                                                                   : runtime::convolution_kernel(spec));
}

template <Kind kind>
Gradients derivative(const graph::Node& node, Tensor result, Tensor gradient) {
  const Tensor a = input(node, 0, result), b = input(node, 1, result);
  const std::int64_t stride = node.attributes.integer("stride"), padding = node.attributes.integer("padding");
  if (kind == Kind::forward)
    return {conv2d_data_gradient(gradient, b, stride, padding, a.dim(1), a.dim(2)),
            conv2d_weight_gradient(a, gradient, stride, padding, b.dim(2), b.dim(3))};
  if (kind == Kind::data_gradient)
    return {conv2d(gradient, b, stride, padding),
            conv2d_weight_gradient(gradient, a, stride, padding, b.dim(2), b.dim(3))};
  return {conv2d_data_gradient(b, gradient, stride, padding, a.dim(1), a.dim(2)), conv2d(a, gradient, stride, padding)};
}

}  // namespace

extern const graph::Op conv2d_op;
const graph::Op conv2d_op{
    .name = "conv2d",
    .inputs = 2,
    .infer = infer<Kind::forward>,
    .derivative = derivative<Kind::forward>,
    .reference = reference<Kind::forward>,
    .lower = lower<Kind::forward>,
    .epilogue = [](const graph::Graph&, const graph::Node&) { return true; },
    .contraction = true,
};

extern const graph::Op conv2d_data_gradient_op;
const graph::Op conv2d_data_gradient_op{
    .name = "conv2d_data_gradient",
    .inputs = 2,
    .infer = infer<Kind::data_gradient>,
    .derivative = derivative<Kind::data_gradient>,
    .reference = reference<Kind::data_gradient>,
    .lower = lower<Kind::data_gradient>,
    .contraction = true,
};

extern const graph::Op conv2d_weight_gradient_op;
const graph::Op conv2d_weight_gradient_op{
    .name = "conv2d_weight_gradient",
    .inputs = 2,
    .infer = infer<Kind::weight_gradient>,
    .derivative = derivative<Kind::weight_gradient>,
    .reference = reference<Kind::weight_gradient>,
    .lower = lower<Kind::weight_gradient>,
    .contraction = true,
};

Tensor conv2d(Tensor src, Tensor weights, std::int64_t stride, std::int64_t padding) {
  return src.graph->add(conv2d_op, {src, weights}, {{"stride", stride}, {"padding", padding}});
}

Tensor conv2d_data_gradient(Tensor gradient, Tensor weights, std::int64_t stride, std::int64_t padding,
                            std::int64_t height, std::int64_t width) {
  return gradient.graph->add(conv2d_data_gradient_op, {gradient, weights},
                             {{"stride", stride}, {"padding", padding}, {"height", height}, {"width", width}});
}

Tensor conv2d_weight_gradient(Tensor src, Tensor gradient, std::int64_t stride, std::int64_t padding,
                              std::int64_t kernel_height, std::int64_t kernel_width) {
  return src.graph->add(conv2d_weight_gradient_op, {src, gradient},
                        {{"stride", stride}, {"padding", padding}, {"height", kernel_height}, {"width", kernel_width}});
}

}  // namespace gan::ops
