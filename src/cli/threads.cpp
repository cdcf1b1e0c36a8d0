#include "cli/threads.h"

#include <fmt/core.h>

#include <cstdio>

#include "base/parallel.h"

namespace gan::cli {

void use_threads(std::int64_t count) {
  base::set_threads(static_cast<int>(count));
  if (count > base::threads())
    fmt::print(stderr,
               "gan: note: --threads {}: OpenMP starts {} (OMP_THREAD_LIMIT and other OMP_ variables limit it)\n",
               count, base::threads());
}

}  // namespace gan::cli
