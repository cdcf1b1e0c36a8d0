#include "runtime/cuda/nccl.h"

#include <string>
#include <thread>
#include <utility>

#include "base/error.h"

namespace gan::runtime::cuda {

Nccl::Nccl(const Functions& functions, CUstream stream, Communicator& ranks)
    : functions_(functions), stream_(stream), rank_(ranks.rank()) {
#ifdef GAN_NCCL
  const NcclFunctions& nccl = functions.nccl();
  ncclUniqueId id{};
  if (rank_ == 0) check(nccl.ncclGetUniqueId(&id), "ncclGetUniqueId");
  id = of_first_rank(ranks, id);
  check(nccl.ncclCommInitRank(&communicator_, ranks.ranks(), id, rank_), "ncclCommInitRank");
#else
  functions.nccl();
#endif
}

#ifdef GAN_NCCL

// ncclCommDestroy would wait for the other ranks, which may be gone.
Nccl::~Nccl() {
  if (communicator_) functions_.nccl().ncclCommAbort(communicator_);
}

void Nccl::all_reduce(Address values, std::size_t count) {
  void* const at = reinterpret_cast<void*>(values);
  check(functions_.nccl().ncclAllReduce(at, at, count, ncclFloat32, ncclSum, communicator_, stream_), "ncclAllReduce");
}

void Nccl::require_ranks() {
  if (!communicator_) return;
  ncclResult_t result = ncclSuccess;
  check(functions_.nccl().ncclCommGetAsyncError(communicator_, &result), "ncclCommGetAsyncError");
  check(result, "all_reduce");
  std::this_thread::yield();
}

void Nccl::check(int result, const char* what) {
  if (result == ncclSuccess) return;
  const NcclFunctions& nccl = functions_.nccl();
  const std::string error = nccl.ncclGetErrorString(static_cast<ncclResult_t>(result));
  const char* const last = nccl.ncclGetLastError(communicator_);
  const std::string detail = last ? last : "";
  // Kernels that wait for other ranks end at once, the call itself only when the last graph with a sum is destroyed.
  if (communicator_) std::thread(nccl.ncclCommAbort, std::exchange(communicator_, nullptr)).detach();
  base::fail_run("NCCL on rank {}: {}: {}{}", rank_, what, error,
                 detail.empty() ? "" : " (" + detail.substr(0, detail.find('\n')) + ")");
}

#else

Nccl::~Nccl() = default;
void Nccl::all_reduce(Address, std::size_t) {}
void Nccl::require_ranks() {}
void Nccl::check(int, const char*) {}

#endif

}  // namespace gan::runtime::cuda
