#pragma once

#include <memory>
#include <vector>

#include "graph/schedule.h"
#include "runtime/backend.h"
#include "runtime/placement.h"

namespace gan::runtime {

/// A graph compiled to kernels of one backend. Inputs and outputs are entries of a State; an output with the name of an
/// input is its next value, written in place if no later kernel reads the old one.
class Program {
 public:
  /// Plans memory and makes every kernel. Missing entries of `state` are made; existing ones must have the right type
  /// (usage error) and move to the memory of the backend. `state`, `arena` and `backend` must outlive the program.
  /// Kernels that depend on frozen inputs only run at once and are not part of run(); the program owns their results,
  /// so that no other program overwrites them. A frozen input must be in the state and have no next value (usage
  /// errors).
  Program(const graph::Graph& graph, const graph::Schedule& schedule, State& state, Arena& arena,
          const Frozen& frozen = {}, const Backend& backend = default_backend(), const Parts& parts = {});

  /// Runs every kernel once, except those that ran when the program was made, and times each if there is a profile.
  /// Throws a run error if can_run_here() is false.
  void run(Profile* profile = nullptr) const { executable_->run(profile); }
  /// Whether as many threads are available now as when the program was made.
  bool can_run_here() const { return executable_->can_run_here(); }

  const std::vector<Kernel>& kernels() const { return executable_->kernels(); }
  /// How often the host starts something in the next run: 1 for a graph of a GPU.
  std::size_t launches() const { return executable_->launches(); }

 private:
  std::vector<Buffer> buffers_;
  std::unique_ptr<Executable> executable_;
};

}  // namespace gan::runtime
