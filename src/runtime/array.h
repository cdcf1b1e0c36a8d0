#pragma once

#include <cstddef>
#include <cstdlib>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "graph/type.h"

namespace gan::runtime {

/// Bytes on a 64-byte boundary (one cache line, one AVX-512 register), zeroed at first.
class AlignedBytes {
 public:
  AlignedBytes() = default;
  explicit AlignedBytes(std::size_t bytes);
  AlignedBytes(AlignedBytes&&) = default;
  AlignedBytes& operator=(AlignedBytes&&) = default;
  /// The same bytes once more; they go with the last who has them.
  AlignedBytes share() const { return part(0, size_); }
  /// Some of the bytes; `offset` is a multiple of 64. All of them stay as long as a part does.
  AlignedBytes part(std::size_t offset, std::size_t bytes) const;
  std::byte* data() const { return data_.get(); }
  std::size_t size() const { return size_; }

 private:
  std::shared_ptr<std::byte> data_;
  std::size_t size_ = 0;
};

/// A dense row-major tensor in host memory that owns its elements. Its address stays the same when it is moved.
class Array {
 public:
  Array() = default;
  explicit Array(graph::TensorType type) : type_(std::move(type)), bytes_(type_.bytes()) {}
  /// An f32 array with these values. Throws a usage error if their number does not fit the shape.
  Array(graph::Shape shape, std::span<const float> values);
  /// An array of the same elements: what is written to one is seen in the other.
  Array share() const;

  const graph::TensorType& type() const { return type_; }
  std::size_t size_bytes() const { return type_.bytes(); }
  std::byte* bytes() const { return bytes_.data(); }
  /// The elements; throws a run error if the array has another dtype.
  std::span<float> f32() const;
  std::span<std::int32_t> i32() const;
  std::span<std::uint16_t> bf16() const;

 private:
  friend std::vector<Array> allocate_together(std::span<const graph::TensorType> types);

  graph::TensorType type_;
  AlignedBytes bytes_;
};

/// Zeroed arrays of these types in one block of memory, which the system provides faster than many. It stays as long as
/// one of them.
std::vector<Array> allocate_together(std::span<const graph::TensorType> types);

/// Named arrays: parameters, moments, statistics, counters, and the inputs and outputs of programs.
/// Programs keep the addresses of the arrays they use, so entries are written in place and never replaced. Programs in
/// bf16 also keep copies of weights, NAME.bf16, made with the first program that wants them: write weights before.
using State = std::map<std::string, Array>;

}  // namespace gan::runtime
