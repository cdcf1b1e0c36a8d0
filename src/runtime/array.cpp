#include "runtime/array.h"

#include <algorithm>
#include <cstring>
#include <new>

#include "base/error.h"

namespace gan::runtime {

AlignedBytes::AlignedBytes(std::size_t bytes) : size_(bytes) {
  const std::size_t rounded = (std::max<std::size_t>(bytes, 1) + 63) / 64 * 64;
  data_.reset(static_cast<std::byte*>(std::aligned_alloc(64, rounded)), std::free);
  if (!data_) throw std::bad_alloc();
  std::memset(data_.get(), 0, rounded);
}

AlignedBytes AlignedBytes::share() const {
  AlignedBytes out;
  out.data_ = data_;
  out.size_ = size_;
  return out;
}

Array::Array(graph::Shape shape, std::span<const float> values)
    : Array(graph::TensorType{graph::DType::f32, std::move(shape)}) {
  if (static_cast<std::int64_t>(values.size()) != type_.elements())
    base::fail_usage("{} values for an array of {}", values.size(), to_string(type_));
  std::copy(values.begin(), values.end(), f32().begin());
}

Array Array::share() const {
  Array out;
  out.type_ = type_;
  out.bytes_ = bytes_.share();
  return out;
}

namespace {
template <typename T>
std::span<T> elements(const Array& array, graph::DType dtype) {
  if (array.type().dtype != dtype)
    base::fail_run("an array of {} was read as {}", to_string(array.type()), name_of(dtype));
  return {reinterpret_cast<T*>(array.bytes()), static_cast<std::size_t>(array.type().elements())};
}
}  // namespace

std::span<float> Array::f32() const { return elements<float>(*this, graph::DType::f32); }
std::span<std::int32_t> Array::i32() const { return elements<std::int32_t>(*this, graph::DType::i32); }
std::span<std::uint16_t> Array::bf16() const { return elements<std::uint16_t>(*this, graph::DType::bf16); }

}  // namespace gan::runtime
