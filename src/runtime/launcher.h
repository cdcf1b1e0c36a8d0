#pragma once

#include <cstdint>
#include <vector>

#include "runtime/communicator.h"

namespace gan::runtime {

/// The number of ranks that a launcher (mpirun, srun) says it has started, by its variables; 1 without a launcher.
int launched_ranks();
/// The rank that the launcher gave this process; 0 without a launcher.
int launched_rank();

/// The communicator of all ranks. The first call opens libgan_mpi.so; without a launcher, or if it started a single
/// process, it is one_rank(). Throws a usage error if the module cannot be opened, or if MPI sees another number of
/// ranks than the launcher.
Communicator& all_ranks();

/// What must be equal on all ranks, because results depend on it: the version of the program, the processor, oneDNN.
std::vector<Fact> facts_of_program();

/// The number of threads for a rank: `wanted` if that is above 0, else a share of the processors of this machine for
/// ranks that may run on all of them; 0 (as many as the process has processors) for others.
int threads_of_rank(const Communicator& communicator, std::int64_t wanted);

/// Ends the work with MPI if all_ranks() has opened the module. Waits until all other ranks call it.
void leave_ranks();
/// Ends all ranks after an error that this one has printed, and returns if there are no others.
void abort_ranks(int code);

}  // namespace gan::runtime
