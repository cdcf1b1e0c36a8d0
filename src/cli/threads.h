#pragma once

#include <cstdint>

namespace gan::cli {

/// Sets the number of threads; 0: one per processor. Prints a note on standard error if OpenMP starts fewer.
void use_threads(std::int64_t count);

}  // namespace gan::cli
