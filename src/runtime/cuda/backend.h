#pragma once

#include <memory>
#include <optional>
#include <set>
#include <string>

#include "runtime/backend.h"
#include "runtime/cuda/functions.h"

namespace gan::runtime::cuda {

/// The backend of a GPU, by its number; none: that of the rank's number on its machine, from 0 again where GPUs are
/// fewer. `cache`: the folder where compiled kernels are kept, "" for none. `communicator` has the ranks over which its
/// kernels of AllReduce add up, by NCCL, which is opened for the first such kernel if there are several. `disabled` may
/// name kCublasLt. Throws a run
/// error if a library or the GPU is missing or too old. The functions and the communicator must outlive the backend.
std::shared_ptr<Backend> make_backend(const Functions& functions, std::optional<int> number, const std::string& cache,
                                      Communicator& communicator = one_rank(),
                                      const std::set<std::string>& disabled = {});

/// A target that has every fusion that the kernels support; own products compute the chains that follow them.
graph::Target target(bool own_products = false);

}  // namespace gan::runtime::cuda
