#pragma once

#include <memory>
#include <vector>

#include "graph/schedule.h"
#include "runtime/backend.h"
#include "runtime/placement.h"

namespace gan::runtime {

/// A graph as a list of kernels of one backend. Inputs and outputs live in a State; where an output has the name of an
/// input it is that input's next value, written in place when no later kernel reads the old one.
class Program {
 public:
  /// Plans memory and makes every kernel. Entries of `state` that are missing are made; those that exist must have the
  /// right type (usage error) and move to the backend's memory. `state`, `arena` and `backend` must outlive the
  /// program. Kernels that depend on frozen inputs alone run now and are no part of run(); what they leave to others
  /// lives in the program, where no other program that shares the arena can overwrite it. A frozen input must be in the
  /// state and have no next value (usage errors).
  Program(const graph::Graph& graph, const graph::Schedule& schedule, State& state, Arena& arena,
          const Frozen& frozen = {}, const Backend& backend = default_backend());

  /// Runs every kernel once, but for those that ran when the program was made, timing each if there is a profile.
  /// Throws a run error if can_run_here() is false.
  void run(Profile* profile = nullptr) const { executable_->run(profile); }
  /// Whether what the program was made for, as many threads, is available now.
  bool can_run_here() const { return executable_->can_run_here(); }

  const std::vector<Kernel>& kernels() const { return executable_->kernels(); }

 private:
  std::vector<Buffer> buffers_;
  std::unique_ptr<Executable> executable_;
};

}  // namespace gan::runtime
