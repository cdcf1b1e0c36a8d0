#pragma once

#include <map>
#include <memory>
#include <string>

#include "serve/http.h"

namespace gan::serve {

/// The frames of `gan playground`, a process that is killed when the client has gone. `query`: data, loss, seed, steps,
/// every; points: a file below `root` in place of data. Throws a Refusal for other keys, and one with status 429 if too
/// many playgrounds run.
std::shared_ptr<EventSource> playground(const std::map<std::string, std::string>& query, const std::string& root);

}  // namespace gan::serve
