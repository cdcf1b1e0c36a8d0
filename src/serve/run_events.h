#pragma once

#include <memory>
#include <string>

#include "serve/http.h"

namespace gan::serve {

/// The events of the run in a folder, read from its files as they grow: metrics, scores, pictures, warnings, its state,
/// evaluations. An id says how far the files were read, so that a client that comes back with it misses nothing, even
/// from another server. `root`: of the server, which no text names. `url`: what the paths of pictures begin with.
/// Throws a data error if there is no run.
std::shared_ptr<EventSource> run_events(const std::string& folder, const std::string& root, const std::string& url,
                                        const std::string& last_id, std::int64_t after);

}  // namespace gan::serve
