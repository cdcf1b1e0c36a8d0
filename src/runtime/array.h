#pragma once

#include <cstddef>
#include <exception>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "graph/type.h"
#include "runtime/memory.h"

namespace gan::runtime {

/// A dense row-major tensor that owns its elements. Its address stays the same when it is moved.
class Array {
 public:
  Array() = default;
  explicit Array(graph::TensorType type, Memory& memory = host_memory())
      : type_(std::move(type)), bytes_(type_.bytes(), memory) {}
  /// An f32 array in host memory with these values. Throws a usage error if their number does not fit the shape.
  Array(graph::Shape shape, std::span<const float> values);
  /// An array that shares these elements.
  Array share() const;
  /// The array in this memory: shares the elements if they are there already, else a copy.
  Array in(Memory& memory) const;
  /// The array in host memory.
  Array on_host() const { return in(host_memory()); }

  const graph::TensorType& type() const { return type_; }
  std::size_t size_bytes() const { return type_.bytes(); }
  std::byte* bytes() const { return bytes_.data(); }
  Memory& memory() const { return bytes_.memory(); }
  /// The elements. Throws a run error if the array has another dtype or is in device memory.
  std::span<float> f32() const;
  std::span<std::int32_t> i32() const;
  std::span<std::uint16_t> bf16() const;

 private:
  friend std::vector<Array> allocate_together(std::span<const graph::TensorType> types);
  Array(graph::TensorType type, Buffer bytes) : type_(std::move(type)), bytes_(std::move(bytes)) {}

  graph::TensorType type_;
  Buffer bytes_;
};

/// Lets the host write the elements of an array: in place, or, for an array in device memory, in a host copy that the
/// destructor copies back, unless an exception is what ends the scope. It throws what Memory::write throws.
class Writing {
 public:
  explicit Writing(Array& array) : array_(array) {
    if (!array.memory().is_host()) copy_ = array.on_host();
  }
  ~Writing() noexcept(false) {
    if (copy_ && std::uncaught_exceptions() == exceptions_)
      array_.memory().write(copy_->bytes(), array_.bytes(), array_.size_bytes());
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  std::span<float> f32() const { return (copy_ ? *copy_ : array_).f32(); }
  std::span<std::int32_t> i32() const { return (copy_ ? *copy_ : array_).i32(); }

 private:
  Array& array_;
  std::optional<Array> copy_;
  int exceptions_ = std::uncaught_exceptions();
};

/// Zeroed arrays of these types in one block of host memory: one large allocation is faster than many. The block is
/// freed with the last array.
std::vector<Array> allocate_together(std::span<const graph::TensorType> types);

/// Named arrays: parameters, moments, statistics, counters, and the inputs and outputs of programs. A program moves the
/// entries it uses to the memory of its backend and keeps their addresses: from then on, write them in place and never
/// replace them. The first bf16 program that reads weights NAME also makes a rounded copy NAME.bf16, so write weights
/// before that.
using State = std::map<std::string, Array>;

/// SHA-256 of the names and values of arrays in host memory, in hexadecimal.
std::string hash_of(const State& state);

}  // namespace gan::runtime
