#include "runtime/launcher.h"

#include <dlfcn.h>
#include <fmt/core.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "runtime/backend.h"
#include "runtime/libraries.h"
#include "runtime/mpi/module.h"

namespace gan::runtime {

namespace {

/// The first of these variables that holds a whole number, else `otherwise`.
int variable(std::initializer_list<const char*> names, int otherwise) {
  for (const char* name : names)
    if (const char* text = std::getenv(name))
      if (const auto number = base::parse_number<int>(text)) return *number;
  return otherwise;
}

/// Where the module may lie: next to the program, in the library folder beside the program's, where the system looks.
std::vector<std::string> module_paths() {
  constexpr const char* kMpiLibrary = "libgan_mpi.so";
  std::vector<std::string> paths;
  std::error_code failed;
  const std::filesystem::path program = std::filesystem::read_symlink("/proc/self/exe", failed);
  if (!failed) {
    paths.push_back((program.parent_path() / kMpiLibrary).string());
    paths.push_back((program.parent_path() / "../" GAN_LIBRARY_FOLDER / kMpiLibrary).lexically_normal().string());
    paths.push_back((program.parent_path() / "../lib" / kMpiLibrary).lexically_normal().string());
  }
  paths.emplace_back(kMpiLibrary);
  return paths;
}

void fail(const std::string& message) { base::fail_run("{}", message); }
void say(const std::string& message) { fmt::print(stderr, "gan: {}\n", base::printable(message)); }

Communicator* opened = nullptr;  // until leave_ranks, also when the program ends by an error

std::unique_ptr<Communicator> open_module() {
  void* module = nullptr;
  std::string reasons;
  for (const std::string& path : module_paths()) {
    // MPI opens parts of its own, which look for its functions among those that all can see.
    module = dlopen(path.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (module) break;
    if (std::error_code ignored; path.find('/') == std::string::npos || std::filesystem::exists(path, ignored))
      reasons += (reasons.empty() ? "" : "; ") + std::string(dlerror());
  }
  if (!module)
    base::fail_usage("{} ranks were started, but libgan_mpi.so cannot be opened: {}; it comes with the package gan-mpi",
                     launched_ranks(), reasons);
  const auto version = reinterpret_cast<MpiVersionFunction*>(dlsym(module, kMpiVersion));
  const auto open = reinterpret_cast<MpiOpenFunction*>(dlsym(module, kMpiOpen));
  if (!version || !open || std::string(version()) != GAN_VERSION)
    base::fail_usage("libgan_mpi.so is of version {}, the program of {}", version ? version() : "?", GAN_VERSION);
  std::unique_ptr<Communicator> communicator(open({.fail = fail, .say = say}));
  if (communicator->ranks() != launched_ranks())
    base::fail_usage("{} ranks were started, but MPI sees {}; does the launcher know this MPI? (srun --mpi=pmix)",
                     launched_ranks(), communicator->ranks());
  return communicator;
}

}  // namespace

// srun sets the number of tasks in a batch script, too, but that of a step in the processes alone that it has started.
int launched_ranks() { return variable({"OMPI_COMM_WORLD_SIZE", "PMI_SIZE", "SLURM_STEP_NUM_TASKS"}, 1); }

int launched_rank() { return variable({"OMPI_COMM_WORLD_RANK", "PMI_RANK", "PMIX_RANK", "SLURM_PROCID"}, 0); }

Communicator& all_ranks() {
  if (launched_ranks() <= 1) return one_rank();
  if (!opened) opened = open_module().release();
  return *opened;
}

std::vector<Fact> facts_of_program() {
  return {{"gan", GAN_VERSION}, {"the processor", default_backend().describe()}, {"oneDNN", onednn_version()}};
}

int threads_of_rank(const Communicator& communicator, std::int64_t wanted) {
  if (wanted > 0 || communicator.ranks_here() == 1) return static_cast<int>(wanted);
  if (base::processors() < sysconf(_SC_NPROCESSORS_ONLN)) return 0;  // the launcher has bound the ranks
  return std::max(base::processors() / communicator.ranks_here(), 1);
}

void leave_ranks() { delete std::exchange(opened, nullptr); }

void abort_ranks(int code) {
  if (opened) opened->abort(code);
}

}  // namespace gan::runtime
