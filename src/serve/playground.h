#pragma once

#include <map>
#include <memory>
#include <string>

#include "serve/http.h"

namespace gan::serve {

/// The frames of `gan playground`, a process that lives as long as the client listens. `query`: data, loss, seed,
/// steps, every; points: a file below `root` in place of data. Throws a Refusal for other keys, and 429 if too many
/// play.
std::shared_ptr<EventSource> playground(const std::map<std::string, std::string>& query, const std::string& root);

}  // namespace gan::serve
