#pragma once

#include <cstddef>
#include <cstdint>

namespace gan::runtime::cpu {

/// Scratch memory of one kernel, handed out front to back on 64-byte boundaries. The memory plan gives it to other
/// kernels, too: nothing in it lasts from run to run.
class Workspace {
 public:
  explicit Workspace(std::byte* begin) : next_(begin) {}

  /// Room for `count` elements.
  template <typename T>
  T* take(std::int64_t count) {
    std::byte* const at = next_;
    next_ += bytes_of<T>(count);
    return reinterpret_cast<T*>(at);
  }

  /// Bytes that `count` elements take of a workspace.
  template <typename T>
  static constexpr std::size_t bytes_of(std::int64_t count) {
    return (static_cast<std::size_t>(count) * sizeof(T) + 63) / 64 * 64;
  }

 private:
  std::byte* next_;
};

}  // namespace gan::runtime::cpu
