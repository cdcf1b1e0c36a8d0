#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "serve/http.h"

namespace gan::serve {

/// An answer in place of the one that was asked for.
struct Refusal {
  int status = 400;
  std::string message, field = {};  ///< field: the part of the body that is wrong, such as "conditions.label"
  int retry_after = 0;              ///< seconds, of 429
};

/// Who may ask for what.
struct Access {
  std::string host;                ///< that the server listens on
  std::vector<std::string> hosts;  ///< further names by which clients may call it
  std::string key;                 ///< that requests must bring; empty: none
  bool read_only = false;

  /// Throws a Refusal for a Host that is not the server's (a page elsewhere that made its own name point here), for an
  /// Origin that is not the Host (a page elsewhere that sends forms), for a wrong key, for a body that a form could
  /// send, and for requests that change something if the server is read-only. `changes`: whether this one does.
  void check(const Request& request, bool changes) const;
};

/// Whether only this machine can reach an address.
bool is_loopback(std::string_view host);

/// The path below a folder that a client's name, such as "runs/a", means: the folder itself for ".". Throws a Refusal,
/// always of the same text, if there is nothing, if the name is absolute, has parts such as ".." or begins with a dot,
/// or if links lead out of the folder.
std::string path_below(const std::string& folder, const std::string& name);

/// The folder of a run that a client's name means. A root that is a run itself goes by its own name. Throws as
/// path_below does, and for other spellings of a name.
std::string folder_of_run(const std::string& root, const std::string& name);
/// The name of the run in a folder as runs::folders_of_runs gives it.
std::string name_of_run(const std::string& root, const std::string& folder);

/// The message of an error without the server's own paths.
std::string without_paths(std::string message, const std::string& root);

}  // namespace gan::serve
