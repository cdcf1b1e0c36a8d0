#pragma once

#include <set>
#include <string>

#include "runtime/backend.h"

namespace gan::runtime {

/// The backend of "cpu", null; of "cuda" or "cuda:N", the GPU of this number; of "auto", the CPU, since here nothing is
/// known of the work (see cli/device.h). It lives as long as the program. `cache`: the folder where a GPU's compiled
/// kernels are kept, "" for none. `ranks` compute together, live as long as the program, and add up by kernels of
/// AllReduce: with "cuda" rank r of a machine takes GPU r modulo the number of GPUs. `disabled` names parts
/// (backend_parts) that a GPU leaves out. Throws a usage error for other texts, and for "cuda:N" if a machine has
/// several ranks; a run error that names what is missing if a GPU is asked for and cannot be used.
const Backend* choose_device(const std::string& device, const std::string& cache, Communicator& ranks = one_rank(),
                             const std::set<std::string>& disabled = {});

/// The name of the first GPU and the versions of its libraries. Throws a run error that names what is missing if it
/// cannot be used.
std::string describe_gpu();

/// Whether this is a text that choose_device knows.
bool is_device(const std::string& device);

}  // namespace gan::runtime
