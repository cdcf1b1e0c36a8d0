#pragma once

#include <cstddef>
#include <cstdint>

#include "runtime/memory.h"

namespace gan::runtime::cpu {

/// Allocates the scratch memory of one kernel front to back, aligned to 64 bytes. Other kernels share the memory, so it
/// does not persist from run to run.
class Workspace {
 public:
  explicit Workspace(std::byte* begin) : next_(begin) {}

  /// Allocates `count` elements.
  template <typename T>
  T* take(std::int64_t count) {
    std::byte* const at = next_;
    next_ += bytes_of<T>(count);
    return reinterpret_cast<T*>(at);
  }

  /// Bytes of workspace that `count` elements occupy.
  template <typename T>
  static constexpr std::size_t bytes_of(std::int64_t count) {
    return (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  std::byte* next_;
};

/// Scratch memory of this thread for so many elements; it only grows.
template <typename T>
T* thread_scratch(std::int64_t count) {
  static thread_local Buffer memory;
  const std::size_t bytes = static_cast<std::size_t>(count) * sizeof(T);
  if (memory.size() < bytes) memory = Buffer(bytes);
  return memory.as<T>();
}

}  // namespace gan::runtime::cpu
