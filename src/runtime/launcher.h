#pragma once

#include <cstdint>
#include <vector>

#include "runtime/communicator.h"

namespace gan::runtime {

/// The number of ranks that a launcher (mpirun, srun) says it has started, by its variables; 1 without a launcher.
int launched_ranks();
/// The number that it gave this process; 0 without a launcher.
int launched_rank();

/// All of them: opens libgan_mpi.so at the first call, or is one_rank() without a launcher or for a single process.
/// Throws a usage error if the module cannot be opened or if MPI sees other ranks than the launcher.
Communicator& all_ranks();

/// On what the results of all ranks depend but their own input: the version of the program, the processor, oneDNN.
std::vector<Fact> facts_of_program();

/// The number of threads for a rank: `wanted` if that is above 0, else a share of the processors of this machine for
/// ranks that may run on all of them; 0 (as many as the process has processors) for others.
int threads_of_rank(const Communicator& communicator, std::int64_t wanted);

/// Leaves, after all other ranks have come as far, if all_ranks() has opened the module.
void leave_ranks();
/// Ends all ranks after an error that this one has printed, and returns if there are no others.
void abort_ranks(int code);

}  // namespace gan::runtime
