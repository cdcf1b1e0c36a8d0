#pragma once

#include <cstddef>
#include <map>
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
  /// An array of the same elements: what is written to one is seen in the other.
  Array share() const;
  /// The array in this memory: the same elements if they are there already, else a copy.
  Array in(Memory& memory) const;
  /// The array where the host can read it.
  Array on_host() const { return in(host_memory()); }

  const graph::TensorType& type() const { return type_; }
  std::size_t size_bytes() const { return type_.bytes(); }
  std::byte* bytes() const { return bytes_.data(); }
  Memory& memory() const { return bytes_.memory(); }
  /// The elements. Throws a run error if the array has another dtype or lies where the host cannot reach it.
  std::span<float> f32() const;
  std::span<std::int32_t> i32() const;
  std::span<std::uint16_t> bf16() const;

 private:
  friend std::vector<Array> allocate_together(std::span<const graph::TensorType> types);

  graph::TensorType type_;
  Buffer bytes_;
};

/// The elements of an array for the host to write: its own, or, where the host cannot reach these, a copy that goes
/// there when this ends.
class Writing {
 public:
  explicit Writing(Array& array) : array_(array), host_(array.on_host()) {}
  ~Writing() {
    if (host_.bytes() != array_.bytes()) array_.memory().write(host_.bytes(), array_.bytes(), array_.size_bytes());
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;
  std::span<float> f32() const { return host_.f32(); }
  std::span<std::int32_t> i32() const { return host_.i32(); }

 private:
  Array& array_;
  Array host_;
};

/// Zeroed arrays of these types in one block of host memory, which the system provides faster than many. It stays as
/// long as one of them.
std::vector<Array> allocate_together(std::span<const graph::TensorType> types);

/// Named arrays: parameters, moments, statistics, counters, and the inputs and outputs of programs.
/// A program moves the entries it uses to its backend's memory and keeps their addresses: from then on they are written
/// in place and never replaced. Programs in bf16 also keep copies of weights, NAME.bf16, made with the first program
/// that needs them: write weights before.
using State = std::map<std::string, Array>;

}  // namespace gan::runtime
