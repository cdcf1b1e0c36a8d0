#pragma once

#include <set>
#include <string>

#include "runtime/backend.h"

namespace gan::runtime {

/// A device that was chosen, and why: a sentence for users.
struct DeviceChoice {
  const Backend* backend = nullptr;  ///< null: the CPU; lives as long as the program
  std::string reason;
};

/// The backend of "cpu", "cuda" or "cuda:N", the GPU of this number; "auto" is the CPU where nothing is known of the work.
/// `cache`: the folder where a GPU's compiled kernels are kept, "" for none. `ranks` compute together, live as long as
/// the program, and add up by kernels of AllReduce: with "cuda" rank r of a machine takes GPU r modulo the number of
/// GPUs. `disabled` names parts (backend_parts) that a GPU leaves out. Throws a usage error for
/// other texts, and for "cuda:N" if a machine has several ranks; a run error that names what is missing if a GPU is
/// asked for and cannot be used.
DeviceChoice choose_device(const std::string& device, const std::string& cache, Communicator& ranks = one_rank(),
                           const std::set<std::string>& disabled = {});

/// The name of the first GPU. Throws a run error that names what is missing if it cannot be used.
std::string describe_gpu();

/// Whether this is a text that choose_device knows.
bool is_device(const std::string& device);

}  // namespace gan::runtime
