#pragma once

#include <set>
#include <string>

#include "runtime/backend.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gan::cli {

/// Adds --device to a subcommand: auto, cpu, cuda or cuda:N. `device` keeps its value as the default.
CLI::Option* add_device_option(CLI::App& app, std::string& device);

/// The backend of --device, null for the CPU; compiled kernels of a GPU are kept in `cache` ("": the default folder).
/// `ranks` compute together, each on a GPU of its own; `disabled` names parts that a GPU leaves out. Throws a usage
/// error if --device names one GPU for several, and a run error that names what is missing if a GPU is asked for and
/// cannot be used.
const runtime::Backend* use_device(const std::string& device, const std::string& cache = "",
                                   runtime::Communicator& ranks = runtime::one_rank(),
                                   const std::set<std::string>& disabled = {});

/// What auto chooses and why, and which GPU there is or what is missing for one.
std::string describe_devices();

}  // namespace gan::cli
