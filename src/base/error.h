#pragma once

#include <fmt/core.h>

#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace gan::base {

/// The kinds of error that callers distinguish; the value is the program's exit code.
enum class ErrorKind : int {
  usage = 2,  ///< wrong use: an unknown option, key or value
  data = 3,   ///< a bad or missing file, a full disk
  run = 4,    ///< a computation that failed
};

/// The exception that the library throws (besides std::bad_alloc, and std::filesystem::filesystem_error for invalid
/// paths). The message is one line: what was wrong, what was found, what was expected and what to try. What it quotes
/// of a file cannot change a terminal: the constructor makes it printable (base/text.h).
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, std::string_view message);
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

/// Throws a usage error with a message in fmt's syntax.
template <typename... Args>
[[noreturn]] void fail_usage(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::usage, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws a data error with a message in fmt's syntax.
template <typename... Args>
[[noreturn]] void fail_data(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::data, fmt::format(format, std::forward<Args>(args)...));
}

/// Throws a run error with a message in fmt's syntax.
template <typename... Args>
[[noreturn]] void fail_run(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(ErrorKind::run, fmt::format(format, std::forward<Args>(args)...));
}

}  // namespace gan::base
