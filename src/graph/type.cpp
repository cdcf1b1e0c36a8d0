#include "graph/type.h"

#include <algorithm>

#include "base/error.h"

namespace gan::graph {

std::size_t size_of(DType dtype) { return dtype == DType::bf16 ? 2 : 4; }

std::string_view name_of(DType dtype) { return dtype == DType::f32 ? "f32" : dtype == DType::bf16 ? "bf16" : "i32"; }

std::int64_t element_count(const Shape& shape) {
  std::int64_t count = 1;
  for (std::int64_t length : shape) count *= length;
  return count;
}

std::string to_string(const Shape& shape) {
  std::string text = "[";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

std::string to_string(const TensorType& type) { return std::string(name_of(type.dtype)) + to_string(type.shape); }

Shape broadcast_shape(const Shape& a, const Shape& b) {
  Shape out(std::max(a.size(), b.size()), 1);
  for (std::size_t i = 0; i < out.size(); ++i) {
    const std::int64_t from_a = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t from_b = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (from_a != from_b && from_a != 1 && from_b != 1)
      base::fail_usage("shapes {} and {} do not broadcast: {} against {}", to_string(a), to_string(b), from_a, from_b);
    out[out.size() - 1 - i] = from_a == 1 ? from_b : from_a;
  }
  return out;
}

}  // namespace gan::graph
