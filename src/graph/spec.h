#pragma once

#include <cstddef>
#include <cstdint>
#include <variant>
#include <vector>

#include "graph/type.h"

// The computation of a node as data: shapes and sizes, no addresses and no code. Backends make kernels of it, the
// reference evaluates it in float64. Elementwise ops have instructions of a Chain (graph/chain.h) instead.
namespace gan::graph {

/// dst[m, n] = sum over k of a[m, k] b[k, n], accumulated in f32. A transposed operand is stored as [k, m] or [n, k].
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

  /// The channels of src and dst are divided into so many groups of neighbours; each group of dst is computed from the
  /// one of src with its number.
  std::int64_t groups() const { return src[3] / weights[1]; }

  /// Shapes of the two operands and of the result.
  const Shape& a_shape() const { return kind == Kind::data_gradient ? dst : src; }
  const Shape& b_shape() const { return kind == Kind::weight_gradient ? dst : weights; }
  const Shape& result_shape() const {
    return kind == Kind::forward ? dst : kind == Kind::data_gradient ? src : weights;
  }
};

/// Sum or maximum, f32, over the axes along which `to` has length 1 or is missing. `to` must broadcast to `from`.
struct Reduce {
  enum class Kind : std::uint8_t { sum, maximum };
  Kind kind = Kind::sum;
  Shape from, to;
};

/// Copies of boxes of elements between dense tensors: slice, concat, pad, permute. Element (i, j, ...) of a part, 0 <=
/// i < lengths[0] and so on, is copied from src_offset + i * src_strides[0] + ... of its input to dst_offset + i *
/// dst_strides[0] + ... of the result. Offsets and strides are in elements.
struct StridedCopy {
  struct Part {
    std::size_t input = 0;
    Shape lengths, src_strides, dst_strides;
    std::int64_t src_offset = 0, dst_offset = 0;
  };
  std::vector<Part> parts;
  DType dtype = DType::f32;
  std::int64_t elements = 0;  ///< of the result
  bool zeros = false;         ///< elements outside all parts are 0; false: the parts cover the result
};

/// dst[i] = table[index[i]]: table f32 or i32 [rows, width], index i32 [count], dst [count, width] of the table's type.
/// A row of dst is NaN, or 0 if it is i32, where the index is not in [0, rows).
struct Gather {
  std::int64_t rows = 0, width = 0, count = 0;
  DType dtype = DType::f32;
};

/// dst[r] = sum of values[i] over i with index[i] = r, in order of i: values f32 [count, width], index i32 [count], dst
/// f32 [rows, width]. An index that is not in [0, rows) is ignored.
struct ScatterAdd {
  std::int64_t rows = 0, width = 0, count = 0;
};

/// dst[i, c] = 1 if labels[i] = c, else 0: labels i32 [count], dst f32 [count, classes].
struct OneHot {
  std::int64_t count = 0, classes = 0;
};

/// `count` values of base::RandomStream. Inputs: the seed, i32 [2] (low word, high word), the step, i32 [1], and with
/// `by_part` the part, i32 [1], whose values begin at index part * count of the stream.
struct Random {
  enum class Kind : std::uint8_t { uniform, normal };
  Kind kind = Kind::uniform;
  std::uint32_t stream = 0;
  std::int64_t count = 0;
  bool by_part = false;
};

/// Images [N, C, H, W], each shifted down and right by sign * (floor(u (2 reach + 1)) - reach) pixels and filled with
/// zeros. u [N, 2] (y, x) is in [0, 1).
struct ShiftImages {
  Shape images;
  std::int64_t reach_y = 0, reach_x = 0, sign = 1;
};

/// Mask [N, 1, height, width]: 0 in one box per image, 1 elsewhere. Along each axis the box begins at floor(u (length +
/// 1 - box % 2)) - box / 2, for u [N, 2] (y, x) in [0, 1), and is clipped to the image.
struct CutoutMask {
  std::int64_t count = 0, height = 0, width = 0, box_height = 0, box_width = 0;
};

/// dst [sum of counts]: the inputs, f32, one after the other, added up over all ranks in their order. A program that
/// computes a batch in parts has one such kernel for each part: the first sets dst, the others add to it, and the last
/// exchanges it with other ranks.
struct AllReduce {
  std::vector<std::int64_t> counts;  ///< elements of each input
  bool add = false;                  ///< adds the inputs to what dst holds
  bool exchange = true;              ///< then dst becomes the sum over ranks
};

using Spec = std::variant<Matmul, Convolution, Reduce, StridedCopy, Gather, ScatterAdd, OneHot, Random, ShiftImages,
                          CutoutMask, AllReduce>;

/// Floating-point operations; a multiply-add counts two.
double operations(const Spec& spec);

}  // namespace gan::graph
