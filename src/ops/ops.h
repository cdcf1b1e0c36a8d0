#pragma once

#include <optional>
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

// Ops that passes recognize by address.
extern const graph::Op add_op, all_reduce_op, broadcast_op, cast_op, constant_op, matmul_op, mul_op, reshape_op,
    slice_op, sum_op;

/// A tensor whose elements all have this value.
Tensor constant(Graph& graph, double value, const Shape& shape = {});

Tensor add(Tensor a, Tensor b);
Tensor sub(Tensor a, Tensor b);
Tensor mul(Tensor a, Tensor b);
Tensor div(Tensor a, Tensor b);
/// The larger of two values; where they are equal the gradient goes to b.
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
/// Sums x over the axes along which `shape` has length 1 or is missing; `shape` must broadcast to the shape of x. The
/// transpose of broadcast.
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
/// Entries [begin, begin + length) of an axis of a real tensor, length > 0.
Tensor slice(Tensor x, std::int64_t axis, std::int64_t begin, std::int64_t length);
/// x with `before` zeros in front of and `after` zeros behind the entries of an axis; the transpose of slice.
Tensor pad(Tensor x, std::int64_t axis, std::int64_t before, std::int64_t after);

/// Rows of table [V, D], f32 or i32, picked by index, i32 [N], each in [0, V): [N, D]. A row whose index is out of range
/// is NaN, or 0 if it is i32.
Tensor gather(Tensor table, Tensor index);
/// The transpose of gather: [rows, D], where row r is the sum of values[n] over n with index[n] = r, in order of n. An
/// index out of range is ignored.
Tensor scatter_add(Tensor values, Tensor index, std::int64_t rows);

/// [N, classes]: 1 in column labels[n] of row n, else 0, for labels i32 [N], each in [0, classes). A label out of range
/// gives zeros.
Tensor one_hot(Tensor labels, std::int64_t classes);
/// The maximum of each row of x [N, K]: [N, 1]. All entries equal to the maximum get the gradient.
Tensor row_maximum(Tensor x);

/// Matrix product [M, K] x [K, N]; a transposed operand is given as [K, M] or [N, K].
Tensor matmul(Tensor a, Tensor b, bool transpose_a = false, bool transpose_b = false);

/// Cross-correlation of src [N, H, W, I] with weights [O, I / groups, KH, KW], zero padding on all sides:
/// [N, (H + 2 padding - KH) / stride + 1, (W + 2 padding - KW) / stride + 1, O]. Each of `groups` runs of neighbouring
/// channels of the result is computed from the corresponding run of src alone, as torch.nn.functional.conv2d does.
Tensor conv2d(Tensor src, Tensor weights, std::int64_t stride, std::int64_t padding, std::int64_t groups = 1);
/// The gradient with respect to src [N, H, W, I] of conv2d, given that with respect to its result; also the transposed
/// convolution.
Tensor conv2d_data_gradient(Tensor gradient, Tensor weights, std::int64_t stride, std::int64_t padding,
                            std::int64_t height, std::int64_t width, std::int64_t groups = 1);
/// The gradient with respect to weights [O, I / groups, kernel_height, kernel_width] of conv2d.
Tensor conv2d_weight_gradient(Tensor src, Tensor gradient, std::int64_t stride, std::int64_t padding,
                              std::int64_t kernel_height, std::int64_t kernel_width, std::int64_t groups = 1);

/// Images x [N, C, H, W] shifted by whole pixels and filled with zeros. u [N, 2] in [0, 1) picks for each image one of
/// the 2 reach + 1 distances in [-reach, reach] down (u[n, 0]) and right (u[n, 1]).
Tensor shift_images(Tensor x, Tensor u, std::int64_t reach_y, std::int64_t reach_x);
/// Mask [N, 1, height, width]: 0 in one box per image, 1 elsewhere. u [N, 2] (y, x) in [0, 1) picks its center,
/// anywhere in the image.
Tensor cutout_mask(Tensor u, std::int64_t height, std::int64_t width, std::int64_t box_height, std::int64_t box_width);

/// Where the values of a random op come from. key: i32 [2], the low and the high word of the seed; step: i32 [1]. part:
/// i32 [1], the number of this part of a batch, whose values follow those of the parts before it.
struct RandomSource {
  Tensor key, step;
  std::optional<Tensor> part = std::nullopt;
};
/// Standard normal values of base::RandomStream.
Tensor random_normal(const RandomSource& source, std::uint32_t stream, const Shape& shape);
/// Uniform values in [0, 1).
Tensor random_uniform(const RandomSource& source, std::uint32_t stream, const Shape& shape);

/// f32 tensors one after the other, [sum of their elements], added up over all parts of a batch in their order: those
/// that a rank computes one after the other, and those of all ranks (runtime::Communicator). Differentiation treats the
/// losses of all parts as one sum.
Tensor all_reduce(const std::vector<Tensor>& tensors);

/// The elements of flat [sum of the elements], one after the other, as tensors of these shapes.
std::vector<Tensor> unflatten(Tensor flat, const std::vector<Shape>& shapes);

/// x, treated as a constant by differentiation.
Tensor stop_gradient(Tensor x);

}  // namespace gan::ops
