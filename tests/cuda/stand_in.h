#pragma once

#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "runtime/backend.h"
#include "runtime/cuda/functions.h"

namespace gan::test {

/// What a stand-in for a GPU is like.
struct StandInOptions {
  int capability = 80;
  std::size_t memory = std::size_t{1} << 30;
  std::size_t says_free = std::numeric_limits<std::size_t>::max();  ///< the most that cuMemGetInfo reports as free
  std::size_t says_total = 0;  ///< the memory that cuMemGetInfo reports; 0: the truth
  bool backwards = false;      ///< runs blocks and threads in the opposite order
  bool without_blas = false;   ///< cuBLASLt has no algorithm for any product
  bool without_nccl = false;   ///< NCCL's library is missing
  int devices = 1;             ///< that the driver shows; all are this one
  int refused_captures = 0;    ///< 1: of graphs with branches; 2: of all graphs; 3: to begin one
};

/// Functions of a GPU that does not exist. Its stream does what was put on it when somebody waits for it, so that a
/// missing wait shows; graphs run in the order that differs most from that of their capture; kernels are compiled for
/// the host and check what they read and write (host_device.h); products are those of the reference; NCCL's ranks are
/// threads with a stand-in each, whose sums are added in the order of the ranks. Every misuse throws std::logic_error
/// from the call that meets it.
class StandIn {
 public:
  explicit StandIn(const StandInOptions& options = {});
  ~StandIn();
  /// The device that this thread makes next belongs to this stand-in.
  const runtime::cuda::Functions& functions() const;

  /// With this, sources are collected and nothing is compiled or run.
  void only_collect();
  const std::vector<std::string>& sources() const;

  /// Does what is on the stream, as a GPU does while its host waits for something else.
  void work() const;

  /// Calls of the driver since the start.
  int captures() const;
  int launched_graphs() const;
  /// Operations of graphs that ran at another place than they were captured.
  std::size_t reordered() const;
  int compilations() const;
  int copies_to_device() const;
  std::size_t bytes_in_use() const;
  /// Products of cuBLASLt that added a bias.
  int biases() const;
  /// Sums over ranks that ran one by one, and in graphs.
  int sums() const;
  int sums_in_graphs() const;
  /// The number of the device that was made last.
  int device() const;

 private:
  std::unique_ptr<struct StandInState> state_;
};

/// A backend on a stand-in that lives as long as the program; kernels are cached in the build folder.
runtime::Backend& stand_in_backend();
/// A backend on a stand-in of its own for one of several ranks.
std::shared_ptr<runtime::Backend> make_stand_in_backend(runtime::Communicator& communicator);
/// The folder of these kernels.
std::string stand_in_cache();

}  // namespace gan::test
