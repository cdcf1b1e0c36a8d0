#pragma once

#include <string>
#include <vector>

#include "graph/graph.h"

/// Functions that add operations to the graph of their arguments and return the result. Elementwise functions broadcast
/// their arguments as numpy does and return f32. All throw a usage error if the shapes or types do not fit.
namespace gan::ops {

using graph::DType;
using graph::Graph;
using graph::Shape;
using graph::Tensor;
using graph::to_string;

// The ops that passes look for in a graph, by their address.
extern const graph::Op add_op, broadcast_op, cast_op, constant_op, matmul_op, mul_op, reshape_op, slice_op, sum_op;

/// A tensor whose elements all have this value.
Tensor constant(Graph& graph, double value, const Shape& shape = {});

Tensor add(Tensor a, Tensor b);
Tensor sub(Tensor a, Tensor b);
Tensor mul(Tensor a, Tensor b);
Tensor div(Tensor a, Tensor b);
/// The larger of two; where they are equal the gradient goes to b.
Tensor maximum(Tensor a, Tensor b);

inline Tensor operator+(Tensor a, Tensor b) { return add(a, b); }
inline Tensor operator-(Tensor a, Tensor b) { return sub(a, b); }
inline Tensor operator*(Tensor a, Tensor b) { return mul(a, b); }
inline Tensor operator/(Tensor a, Tensor b) { return div(a, b); }
inline Tensor operator+(Tensor a, double b) { return add(a, constant(*a.graph, b)); }
inline Tensor operator-(Tensor a, double b) { return sub(a, constant(*a.graph, b)); }
inline Tensor operator*(Tensor a, double b) { return mul(a, constant(*a.graph, b)); }
inline Tensor operator/(Tensor a, double b) { return div(a, constant(*a.graph, b)); }
inline Tensor operator+(double a, Tensor b) { return add(constant(*b.graph, a), b); }
inline Tensor operator-(double a, Tensor b) { return sub(constant(*b.graph, a), b); }
inline Tensor operator*(double a, Tensor b) { return mul(constant(*b.graph, a), b); }
inline Tensor operator/(double a, Tensor b) { return div(constant(*b.graph, a), b); }

Tensor square(Tensor x);
/// Square root of x >= 0; the gradient at 0 is infinite.
Tensor sqrt(Tensor x);
Tensor exp(Tensor x);
/// exp(x) - 1, accurate near 0.
Tensor expm1(Tensor x);
/// Natural logarithm of x > 0.
Tensor log(Tensor x);
Tensor tanh(Tensor x);
/// 1 / (1 + exp(-x)).
Tensor sigmoid(Tensor x);
/// log(1 + exp(x)), which does not overflow.
Tensor softplus(Tensor x);
Tensor relu(Tensor x);
/// 1 where x > 0, else 0; its gradient is 0.
Tensor step(Tensor x);
/// x where x > 0, else slope * x; 0 < slope (Maas et al. 2013).
Tensor leaky_relu(Tensor x, double slope);
/// 1 where x > 0, else slope; its gradient is 0.
Tensor leaky_step(Tensor x, double slope);

/// The same values in f32 or bf16 (rounded to nearest even); i32 may be cast to f32.
Tensor cast(Tensor x, DType dtype);
/// x repeated to a shape that it broadcasts to.
Tensor broadcast(Tensor x, const Shape& shape);
/// Sums of x over the axes in which `shape`, which broadcasts to x's shape, is repeated; the opposite of broadcast.
Tensor sum_to(Tensor x, const Shape& shape);
/// Sum of all elements: a scalar.
Tensor sum(Tensor x);
/// Mean of all elements: a scalar.
Tensor mean(Tensor x);

/// The same elements in another shape of equal size.
Tensor reshape(Tensor x, const Shape& shape);
/// Axis i of the result is axis order[i] of x.
Tensor permute(Tensor x, const std::vector<std::int64_t>& order);
/// Tensors, all f32 or all i32, joined along an axis; a negative axis counts from the end.
Tensor concat(const std::vector<Tensor>& tensors, std::int64_t axis = -1);
/// `length` entries of an axis from `begin` on.
Tensor slice(Tensor x, std::int64_t axis, std::int64_t begin, std::int64_t length);
/// Zeros put before and after the entries of an axis; the opposite of slice.
Tensor pad(Tensor x, std::int64_t axis, std::int64_t before, std::int64_t after);

/// Row index[n] of table [V, D] for each of the i32 indices [N], each in [0, V): [N, D]. An index out of range is a run
/// error when the program runs.
Tensor gather(Tensor table, Tensor index);
/// The opposite of gather: [rows, D], where row r is the sum of values[n] over n with index[n] = r, in order of n.
Tensor scatter_add(Tensor values, Tensor index, std::int64_t rows);

/// 1 in column y[n] of row n, else 0, for labels y, i32 [N], each in [0, classes): [N, classes]. A label out of range
/// is a run error when the program runs.
Tensor one_hot(Tensor labels, std::int64_t classes);
/// The largest entry of each row of x [N, K]: [N, 1]. Where several are equal each gets the gradient.
Tensor row_maximum(Tensor x);

/// Matrix product [M, K] x [K, N]; a transposed operand is given as [K, M] or [N, K].
Tensor matmul(Tensor a, Tensor b, bool transpose_a = false, bool transpose_b = false);

/// Cross-correlation of src [N, H, W, I] with weights [O, I, KH, KW], zero padding on all sides:
/// [N, (H + 2 padding - KH) / stride + 1, (W + 2 padding - KW) / stride + 1, O].
Tensor conv2d(Tensor src, Tensor weights, std::int64_t stride, std::int64_t padding);
/// The gradient of conv2d by its src [N, H, W, I], given that by its result; also the transposed convolution.
Tensor conv2d_data_gradient(Tensor gradient, Tensor weights, std::int64_t stride, std::int64_t padding,
                            std::int64_t height, std::int64_t width);
/// The gradient of conv2d by its weights [O, I, kernel_height, kernel_width].
Tensor conv2d_weight_gradient(Tensor src, Tensor gradient, std::int64_t stride, std::int64_t padding,
                              std::int64_t kernel_height, std::int64_t kernel_width);

/// Images x [N, C, H, W] moved by whole pixels, zeros moving in: numbers u [N, 2] on [0, 1) choose for each image one
/// of the 2 reach + 1 distances down and to the right (or, negative, up and to the left).
Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x);
/// [N, 1, height, width]: 0 in a box for each row, 1 elsewhere; numbers u [N, 2] on [0, 1) choose its middle, anywhere
/// in the image.
Tensor cutout_mask(Tensor u, std::int64_t height, std::int64_t width, std::int64_t box_height, std::int64_t box_width);

/// Standard normal numbers of base::RandomStream. key: i32 [2], the seed's low and high word; step: i32 [1].
Tensor random_normal(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape);
/// Uniform numbers on [0, 1).
Tensor random_uniform(Tensor key, Tensor step, std::uint32_t stream, const Shape& shape);

/// x, taken as a constant by derivatives.
Tensor stop_gradient(Tensor x);

}  // namespace gan::ops
