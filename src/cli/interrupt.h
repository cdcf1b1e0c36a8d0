#pragma once

namespace gan::cli {

/// What throw_if_interrupted throws; no error, so that only who watches for it catches it.
struct Interrupted {
  int signal = 0;
};

/// From now on the first Ctrl-C, SIGTERM or SIGHUP only makes throw_if_interrupted throw, so that destructors can
/// remove temporary files; the second ends the program as usual. Ignored signals (nohup) stay ignored.
void watch_interrupts();

bool is_interrupted();
void throw_if_interrupted();

/// Ends the program as the signal does by default.
[[noreturn]] void end_by(const Interrupted& interrupted);

}  // namespace gan::cli
