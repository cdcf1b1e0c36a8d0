#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

namespace gan::serve {

/// A child process of this program. The destructor leaves it running.
class Process {
 public:
  Process() = default;
  /// Starts `gan` with these arguments, in a session of its own, which the end of this program does not end. Its output
  /// is added to the file `output`; standard input is empty. Throws a run error if it cannot be started.
  Process(const std::vector<std::string>& arguments, const std::string& output);
  /// The same with its output going to a pipe, of which the read end, which does not block, goes to `pipe`.
  Process(const std::vector<std::string>& arguments, int& pipe);
  Process(Process&& other) noexcept;
  Process& operator=(Process&& other) noexcept;
  ~Process();

  bool running();
  pid_t pid() const { return pid_; }
  /// The exit code once it has ended; 128 + the signal if one ended it.
  int code() const { return code_; }
  /// Asks it to save and end.
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
