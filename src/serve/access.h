#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace gan::serve {

/// Thrown to answer a request with an error.
struct Refusal {
  int status = 400;
  std::string message, field = {};  ///< field: the part of the body that is wrong, such as "conditions.label"
  int retry_after = 0;              ///< seconds after which to try again, for status 429
};

/// The rules by which requests are accepted.
struct Access {
  std::string host;                ///< the host that the server listens on
  std::vector<std::string> hosts;  ///< further host names that clients may use
  std::string key;                 ///< the key that requests must carry; empty: none is needed
  bool read_only = false;

  /// Throws a Refusal for a Host that is not the server's (DNS rebinding), for an Origin other than the Host and for a
  /// body that an HTML form could send (cross-site request forgery), for a wrong key, and for requests that change
  /// something if the server is read-only. `changes`: whether this one does.
  void check(const Request& request, bool changes) const;
};

/// Whether only this machine can reach an address.
bool is_loopback(std::string_view host);

/// The path of what a client names by its path below a folder, such as "runs/a"; "." is the folder itself. Throws a
/// Refusal, always with the same text, if it does not exist, if the name is absolute or a part of it begins with a dot,
/// as ".." does, or if links lead out of the folder.
std::string path_below(const std::string& folder, const std::string& name);

/// The folder of the run that a client names by its path below the root. A root that is a run itself has its own name.
/// Throws as path_below does, and for other spellings of a path, such as "a//b".
std::string folder_of_run(const std::string& root, const std::string& name);
/// The name of the run in a folder as runs::folders_of_runs gives it.
std::string name_of_run(const std::string& root, const std::string& folder);

/// The message of an error without the server's own paths.
std::string without_paths(std::string message, const std::string& root);

}  // namespace gan::serve
