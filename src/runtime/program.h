#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/float_mode.h"
#include "base/parallel.h"
#include "graph/schedule.h"
#include "runtime/array.h"
#include "runtime/lowering.h"

namespace gan::runtime {

class Profile;

/// Scratch memory that programs run one after another may share.
class Arena {
 public:
  /// At least so many bytes, at an address that stays.
  std::byte* reserve(std::size_t bytes);

 private:
  std::vector<AlignedBytes> blocks_;
};

/// A flat list of kernels over one arena. Inputs and outputs live in a State; where an output has the name of an input
/// it is that input's next value, written in place when no later kernel reads the old one.
class Program {
 public:
  /// Plans memory and lowers every kernel. Entries of `state` that are missing are made; those that exist must have the
  /// right type (usage error). `state` and `arena` must outlive the program. Kernels that depend on frozen inputs alone
  /// run now and are no part of run(); what they leave to others lives in the program, where no other program that
  /// shares the arena can overwrite it. A frozen input must be in the state and have no next value (usage errors).
  /// `machine_code`: whether chains of elementwise operations become machine code where they can.
  Program(const graph::Graph& graph, const graph::Schedule& schedule, State& state, Arena& arena,
          const Frozen& frozen = {}, bool machine_code = true);

  /// Runs every kernel once, but for those that ran when the program was made, timing each if there is a profile.
  /// Denormal numbers count as zero meanwhile: where gradients vanish, moments of Adam's decay to such numbers, and a
  /// step would take three times as long. Throws a run error if fewer than threads() threads are available
  /// (can_run_here).
  void run(Profile* profile = nullptr) const {
    const base::ScopedFloatMode flush(base::ScopedFloatMode::without_denormals());
    const base::ScopedThreads team(threads_);
    if (team.count() < threads_) fail_threads(team.count());
    if (profile) return run_timed(*profile);
    for (const Kernel& kernel : kernels_) kernel.run();
  }

  const std::vector<Kernel>& kernels() const { return kernels_; }
  /// Threads that the kernels were made for: those that were available when the program was made.
  int threads() const { return threads_; }
  /// Whether as many are available now.
  bool can_run_here() const { return base::ScopedThreads(threads_).count() == threads_; }

 private:
  [[noreturn]] void fail_threads(int found) const;
  void run_timed(Profile& profile) const;

  int threads_;
  std::vector<Kernel> kernels_;
  std::vector<AlignedBytes> constants_;
};

}  // namespace gan::runtime
