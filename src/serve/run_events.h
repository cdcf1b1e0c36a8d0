#pragma once

#include <memory>
#include <string>

#include "serve/http.h"

namespace gan::serve {

/// The events of the run in a folder, read from its files as they grow: metrics, scores, pictures, warnings, its state,
/// evaluations. The id of an event holds how far the files were read, so that a client that reconnects with it misses
/// nothing, even at another server. `root`: the server's root, which is removed from messages. `url`: the beginning of
/// the paths of pictures. Throws a data error if there is no run.
std::shared_ptr<EventSource> run_events(const std::string& folder, const std::string& root, const std::string& url,
                                        const std::string& last_id, std::int64_t after);

}  // namespace gan::serve
