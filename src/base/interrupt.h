#pragma once

namespace gan::base {

/// Thrown by throw_if_interrupted. It is no base::Error, so that handlers of errors let it pass.
struct Interrupted {
  int signal = 0;
};

/// From now on the first Ctrl-C, SIGTERM or SIGHUP only sets is_interrupted, so that the program can save, or remove
/// temporary files; the second ends it as usual. Ignored signals (nohup) stay ignored.
void watch_interrupts();

bool is_interrupted();
/// Throws Interrupted, for destructors to run, if is_interrupted.
void throw_if_interrupted();

/// Ends the program as the signal does by default.
[[noreturn]] void end_by(const Interrupted& interrupted);

}  // namespace gan::base
