#pragma once

#include <pthread.h>

#include <csignal>

namespace gan::base {

/// Blocks this thread's signals for the lifetime of the object, but for those that report its own faults: oneDNN may
/// point the stack register into the heap (its issue 4845, x86-64), where a signal handler would overwrite memory.
class ScopedSignalBlock {
 public:
  ScopedSignalBlock() { pthread_sigmask(SIG_BLOCK, &signals(), &before_); }
  ~ScopedSignalBlock() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  ScopedSignalBlock(const ScopedSignalBlock&) = delete;
  ScopedSignalBlock& operator=(const ScopedSignalBlock&) = delete;

  /// Blocks them for as long as this thread lives: for the workers of a team, whose first thread receives signals
  /// between its products.
  static void forever() {
    thread_local const int result = pthread_sigmask(SIG_BLOCK, &signals(), nullptr);
    static_cast<void>(result);
  }

 private:
  static const sigset_t& signals() {
    static const sigset_t set = [] {
      sigset_t all;
      sigfillset(&all);
      for (const int fault : {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGTRAP, SIGABRT, SIGSYS}) sigdelset(&all, fault);
      return all;
    }();
    return set;
  }

  sigset_t before_;
};

}  // namespace gan::base
