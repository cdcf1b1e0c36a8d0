#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gan::serve {

/// A child process of this program. The destructor leaves it running.
class Process {
 public:
  Process() = default;
  /// Starts `gan` with these arguments in a session of its own, so that it goes on when this program ends. Its output
  /// is appended to the file `output`; standard input is empty. Throws a run error if it cannot be started.
  Process(const std::vector<std::string>& arguments, const std::string& output);
  /// The same, but the output goes to a pipe. `pipe` is set to its read end, which does not block.
  Process(const std::vector<std::string>& arguments, int& pipe);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  bool running();
  pid_t pid() const { return pid_; }
  /// The exit code after running() was false; 128 + the signal if one ended the process.
  int code() const { return code_; }
  /// Sends SIGTERM, at which `gan` saves and ends.
  void interrupt() const;
  void kill() const;

 private:
  void start(const std::vector<std::string>& arguments, const std::string& output, int descriptor);

  pid_t pid_ = 0;
  int code_ = 0;
};

/// The process that holds the lock of a folder (base::FolderLock), if it is a `gan`; 0 if there is none.
pid_t holder_of(const std::string& folder);

}  // namespace gan::serve
