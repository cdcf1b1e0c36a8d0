#pragma once

#include <cstddef>

#include "runtime/communicator.h"
#include "runtime/cuda/functions.h"
#include "runtime/cuda/source.h"

struct ncclComm;

namespace gan::runtime::cuda {

/// Sums over the GPUs of several ranks by NCCL, on one stream. The same ranks on the same machines get the same bits in
/// every run, but NCCL chooses the order in which they are added.
class Nccl {
 public:
  /// Waits until all ranks have come as far. Throws a run error if NCCL is missing or refuses, as it does two ranks on
  /// one GPU. The functions must outlive this object.
  Nccl(const Functions& functions, CUstream stream, Communicator& ranks);
  ~Nccl();
  Nccl(const Nccl&) = delete;
  Nccl& operator=(const Nccl&) = delete;

  /// Puts on the stream what replaces `count` floats by their sums over all ranks. Throws a run error if NCCL fails.
  void all_reduce(Address values, std::size_t count);
  /// Throws a run error if NCCL has found that another rank or the network has failed, for which kernels that are on
  /// the stream would wait forever.
  void require_ranks();

  /// Sums run one after the other, in the same order on all ranks: each writes these bytes, which are no memory.
  static constexpr Range kOrder{0, 1};

 private:
  /// Throws a run error with NCCL's text unless the call of `what` succeeded, and leaves the other ranks.
  void check(int result, const char* what);

  const Functions& functions_;
  CUstream stream_;
  int rank_;
  ncclComm* communicator_ = nullptr;
};

}  // namespace gan::runtime::cuda
