#pragma once

#include <cstdint>

namespace gan::cli {

/// Uses so many threads from now on, 0 for one on every processor. Says on standard error if OpenMP starts fewer than
/// were asked for.
void use_threads(std::int64_t asked);

}  // namespace gan::cli
