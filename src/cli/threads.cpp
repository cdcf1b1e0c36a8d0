#include "cli/threads.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/parallel.h"

namespace gan::cli {

void use_threads(std::int64_t asked) {
  base::set_threads(static_cast<int>(asked));
  if (asked > base::threads())
    fmt::print(stderr,
               "gan: note: --threads {}: OpenMP starts {} (OMP_THREAD_LIMIT and other OMP_ variables limit it)\n",
               asked, base::threads());
}

}  // namespace gan::cli
