#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace gan::graph {

/// Element types of tensors. bf16 is the upper 16 bits of an f32: sign, 8 exponent bits, 7 mantissa bits.
enum class DType : std::uint8_t { f32, bf16, i32 };

/// Bytes of one element.
std::size_t size_of(DType dtype);
/// "f32", "bf16" or "i32".
std::string_view name_of(DType dtype);

/// Lengths of a tensor's axes, outermost first; {} is a scalar. Tensors are dense and row-major.
using Shape = std::vector<std::int64_t>;

/// Product of the lengths; 1 for a scalar.
std::int64_t element_count(const Shape& shape);
/// "[64, 1, 28, 28]".
std::string to_string(const Shape& shape);

struct TensorType {
  DType dtype = DType::f32;
  Shape shape;

  std::int64_t elements() const { return element_count(shape); }
  std::size_t bytes() const { return static_cast<std::size_t>(elements()) * size_of(dtype); }
  bool operator==(const TensorType&) const = default;
};

/// "f32[64, 1, 28, 28]".
std::string to_string(const TensorType& type);

/// The shape to which numpy broadcasts two shapes: axes are aligned at the end; lengths are equal or one of them is 1.
/// Throws a usage error if they do not fit.
Shape broadcast_shape(const Shape& a, const Shape& b);

}  // namespace gan::graph
