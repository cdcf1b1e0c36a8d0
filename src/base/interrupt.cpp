#include "base/interrupt.h"

#include <csignal>
#include <cstdlib>
#include <initializer_list>

namespace gan::base {
namespace {
volatile std::sig_atomic_t caught = 0;
}

void watch_interrupts() {
  struct sigaction action {};
  action.sa_handler = [](int signal) { caught = signal; };
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  for (const int signal : {SIGINT, SIGTERM, SIGHUP}) {
    struct sigaction before {};
    sigaction(signal, nullptr, &before);
    if (before.sa_handler != SIG_IGN) sigaction(signal, &action, nullptr);
  }
}

bool is_interrupted() { return caught != 0; }

void throw_if_interrupted() {
  if (caught != 0) throw Interrupted{caught};
}

void end_by(const Interrupted& interrupted) {
  std::signal(interrupted.signal, SIG_DFL);
  std::raise(interrupted.signal);
  std::abort();
}

}  // namespace gan::base
