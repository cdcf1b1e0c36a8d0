#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "runtime/cuda/blas.h"
#include "runtime/cuda/functions.h"
#include "runtime/cuda/nccl.h"
#include "runtime/cuda/source.h"
#include "runtime/memory.h"

namespace gan::runtime::cuda {

/// A GPU: its memory, one stream on which everything runs in order, a second one that brings large arrays meanwhile,
/// and the kernels loaded so far. It lives as long as the program. Its public functions may be called by any thread.
class Device : public Memory {
 public:
  /// The device of a number; none: that of the rank's number on its machine, from 0 again where devices are fewer.
  /// Throws a run error if there is no such device or it is older than compute capability 7.5. Compiled kernels are
  /// kept in `cache`/kernels; "": in memory only. The functions and the communicator must outlive the device.
  Device(const Functions& functions, std::optional<int> number, std::string cache,
         Communicator& communicator = one_rank());

  const std::string& name() const { return name_; }
  /// Ten times the major number, plus the minor one: 75, 80, 90.
  int capability() const { return capability_; }
  /// "driver 12080, NVRTC 12.8, sm_90, cuBLASLt 120803": what the bits of results depend on beside the device.
  const std::string& versions() const { return versions_; }
  std::size_t total_bytes() const { return total_bytes_; }

  /// Throws OutOfMemory (runtime/out_of_memory.h) if the device has no room.
  std::shared_ptr<std::byte> allocate(std::size_t bytes) override;
  void read(const std::byte* from, void* to, std::size_t bytes) override;
  /// Returns once the bytes are copied to pinned memory; they change in the order of the stream. Large arrays come to
  /// the device on the second stream, while kernels that were put on the first one before still run.
  void write(const void* from, std::byte* to, std::size_t bytes) override;
  std::size_t free_bytes() override;

  /// A kernel, a product or a copy that is ready to be put on the stream.
  struct Task {
    std::function<void()> run;
    Touched touched;
  };
  Task task(const SourceKernel& kernel);
  /// None if cuBLASLt has no algorithm for the product.
  std::optional<Task> task(const Product& product);
  Task copy_task(const std::byte* from, std::byte* to, std::size_t bytes);
  bool has_ranks() const { return communicator_.ranks() > 1; }
  /// Replaces `count` floats by their sums over all ranks. The first call waits for all of them, and throws a run error
  /// if NCCL is missing or refuses.
  Task sum_task(std::byte* values, std::size_t count);
  /// Compiles and loads the kernels that are not loaded yet, all in one source.
  void load(const std::vector<SourceKernel>& kernels);

  /// Holds the stream for one thread and makes the device current for it.
  std::unique_lock<std::recursive_mutex> lock();
  /// Marks the end of a program's run on the stream and waits for that of the run kRunsAhead before, so that the host
  /// is not far ahead when it looks at the clock or is interrupted.
  void end_run();
  /// Waits until everything on the stream is done. Errors of kernels show here, and those of other ranks.
  void wait();

  const Functions& functions() const { return functions_; }
  CUstream stream() const { return stream_; }

 private:
  /// Pinned memory from which the device takes what the host writes, and memory of the device between the two streams.
  struct Slot {
    void* pinned = nullptr;
    CUdeviceptr staged = 0;  ///< for large arrays; 0 until the first
    CUevent brought = nullptr, taken = nullptr;
    std::uint64_t turn = 0;  ///< the number of the write that used it last; 0: none
  };
  static constexpr std::size_t kSlots = 64, kSlotBytes = 1 << 20, kLarge = 1 << 16, kRunsAhead = 16;

  /// A slot from which everything was taken; waits for the one that was used longest ago if all are in use.
  Slot& free_slot();

  /// Waits for an event, or for the stream without one, and throws if another rank fails meanwhile. Alone it returns.
  void watch_ranks(CUevent event = nullptr);
  CUmodule load_module(const std::string& source);
  void check(CUresult result, const char* what) const { cuda::check(functions_, result, what); }

  const Functions& functions_;
  std::string cache_, name_, versions_;
  Communicator& communicator_;
  int capability_ = 0;
  std::size_t total_bytes_ = 0;
  std::recursive_mutex mutex_;
  CUcontext context_ = nullptr;
  CUstream stream_ = nullptr, copies_ = nullptr;
  std::shared_ptr<std::byte> blas_workspace_;
  std::optional<Blas> blas_;
  std::optional<Nccl> nccl_;
  std::map<std::string, CUfunction> loaded_;
  Slot slots_[kSlots];
  std::uint64_t turns_ = 0;
  CUevent runs_[kRunsAhead] = {};
  std::size_t next_run_ = 0;
};

}  // namespace gan::runtime::cuda
