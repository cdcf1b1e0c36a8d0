#pragma once

#include <cstddef>
#include <memory>

namespace gan::runtime {

/// The memory of the host, or that of a device, which the host accesses by read and write only. Device addresses are
/// opaque to the host, which adds offsets and passes them on.
class Memory {
 public:
  virtual ~Memory() = default;
  /// Zeroed bytes aligned to 64 (one cache line, one AVX-512 register), freed with the last owner.
  virtual std::shared_ptr<std::byte> allocate(std::size_t bytes) = 0;
  /// Copies bytes at `from` to the host, after all kernels that were started. Throws a run error if the device fails,
  /// as write does.
  virtual void read(const std::byte* from, void* to, std::size_t bytes) = 0;
  /// Copies bytes of the host to `to`, before kernels that are started later; `from` may be changed on return.
  virtual void write(const void* from, std::byte* to, std::size_t bytes) = 0;
  virtual bool is_host() const { return false; }
  /// Bytes that a device could still allocate; 0 if that is not known.
  virtual std::size_t free_bytes() { return 0; }
};

/// The host's own memory, in which the CPU backend works.
Memory& host_memory();

/// A range of bytes with shared ownership.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(std::size_t bytes, Memory& memory = host_memory())
      : data_(memory.allocate(bytes)), size_(bytes), memory_(&memory) {}
  Buffer(Buffer&&) = default;
  Buffer& operator=(Buffer&&) = default;
  /// Another owner of the same bytes.
  Buffer share() const { return part(0, size_); }
  /// Part of the bytes, which keeps all of them alive; `offset` is a multiple of 64.
  Buffer part(std::size_t offset, std::size_t bytes) const {
    Buffer out;
    out.data_ = {data_, data_.get() + offset};
    out.size_ = bytes;
    out.memory_ = memory_;
    return out;
  }
  std::byte* data() const { return data_.get(); }
  template <typename T>
  T* as() const {
    return reinterpret_cast<T*>(data_.get());
  }
  std::size_t size() const { return size_; }
  Memory& memory() const { return *memory_; }

 private:
  std::shared_ptr<std::byte> data_;
  std::size_t size_ = 0;
  Memory* memory_ = &host_memory();
};

}  // namespace gan::runtime
