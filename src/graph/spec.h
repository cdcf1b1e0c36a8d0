#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "graph/type.h"

// What a node computes, as data: shapes and sizes, no addresses and no code. Backends make kernels of it, the reference
// executor evaluates it in float64. Elementwise ops have no Spec but an instruction of a Chain (graph/chain.h).
namespace gan::graph {

/// dst[m, n] = sum over k of a[m, k] b[k, n], added up in f32; a transposed operand is stored as [k, m] or [n, k].
struct Matmul {
  std::int64_t m = 0, n = 0, k = 0;
  bool transpose_a = false, transpose_b = false;
  DType operands = DType::f32;  ///< f32 or bf16
};

/// A convolution as deep learning defines it (cross-correlation) or one of its two gradients. Activations are channels
/// last: src [N, H, W, I], dst [N, H', W', O] with H' = (H + 2 padding - KH) / stride + 1; weights [O, I, KH, KW].
struct Convolution {
  enum class Kind : std::uint8_t {
    forward,          ///< src, weights -> dst
    data_gradient,    ///< dst, weights -> src
    weight_gradient,  ///< src, dst -> weights
  };
  Kind kind = Kind::forward;
  Shape src, weights, dst;
  std::int64_t stride = 1, padding = 0;
  DType operands = DType::f32;  ///< f32 or bf16

  /// Shapes of the two operands and of the result.
  const Shape& a_shape() const { return kind == Kind::data_gradient ? dst : src; }
  const Shape& b_shape() const { return kind == Kind::weight_gradient ? dst : weights; }
  const Shape& result_shape() const { return kind == Kind::forward ? dst : kind == Kind::data_gradient ? src : weights; }
};

/// Sums or largest elements over the axes in which `to`, which broadcasts to `from`, is repeated. f32.
struct Reduce {
  enum class Kind : std::uint8_t { sum, maximum };
  Kind kind = Kind::sum;
  Shape from, to;
};

/// Copies of boxes of elements between dense tensors: slices, joins, padding, permuted axes. Element (i, j, ...) of a
/// part, 0 <= i < lengths[0] and so on, goes from src_offset + i * src_strides[0] + ... of its input to dst_offset + i
/// * dst_strides[0] + ... of the result. Offsets and strides count elements.
struct StridedCopy {
  struct Part {
    std::size_t input = 0;
    Shape lengths, src_strides, dst_strides;
    std::int64_t src_offset = 0, dst_offset = 0;
  };
  std::vector<Part> parts;
  DType dtype = DType::f32;
  std::int64_t elements = 0;  ///< of the result
  bool zeros = false;         ///< what no part fills is 0, else the parts fill everything
};

/// dst[i] = table[index[i]]: rows of `width` elements, f32, by i32. A row is NaN where the index is not in [0, rows).
struct Gather {
  std::int64_t rows = 0, width = 0, count = 0;
};

/// dst[r] = sum over i with index[i] = r of values[i], in order of i; an index that is not in [0, rows) is left out.
struct ScatterAdd {
  std::int64_t rows = 0, width = 0, count = 0;
};

/// dst[i, c] = 1 if label[i] = c, else 0; i32 [count] to f32 [count, classes].
struct OneHot {
  std::int64_t count = 0, classes = 0;
};

/// Numbers of base::RandomStream for the seed and the step that are the inputs, i32 [2] and i32 [1].
struct Random {
  enum class Kind : std::uint8_t { uniform, normal };
  Kind kind = Kind::uniform;
  std::uint32_t stream = 0;
  std::int64_t count = 0;
};

/// Images [N, C, H, W], each moved down and right by whole pixels; zeros move in. Number u [N, 2] on [0, 1) stands for
/// floor(u (2 reach + 1)) - reach pixels, times sign.
struct ShiftImages {
  Shape images;
  std::int64_t reach_y = 0, reach_x = 0, sign = 1;
};

/// [N, 1, height, width]: 1, and 0 in a box for each image that begins at floor(u (length + 1 - box % 2)) - box / 2 of
/// each axis, for u [N, 2] on [0, 1).
struct CutoutMask {
  std::int64_t count = 0, height = 0, width = 0, box_height = 0, box_width = 0;
};

using Spec =
    std::variant<Matmul, Convolution, Reduce, StridedCopy, Gather, ScatterAdd, OneHot, Random, ShiftImages, CutoutMask>;

/// Floating-point operations; a multiply-add counts two.
double operations(const Spec& spec);

}  // namespace gan::graph
