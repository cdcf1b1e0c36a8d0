#pragma once

#include <atomic>
#include <cstdint>
#include <exception>

#include "base/parallel.h"

namespace gan::base {

/// Calls function(index, first) for each index in [0, count) in parallel, `grain` or more of them on a thread; `first`
/// says whether the calling thread runs it. After an exception no further calls begin, and one of those thrown is
/// thrown again when all threads have ended.
template <typename Function>
void parallel_for_each(std::int64_t count, std::int64_t grain, const Function& function) {
  std::exception_ptr failure;
  std::atomic<bool> failed = false;
  parallel_for(count, grain, [&](std::int64_t begin, std::int64_t end) {
    try {
      for (std::int64_t i = begin; i < end && !failed; ++i) function(i, begin == 0);
    } catch (...) {
      if (!failed.exchange(true)) failure = std::current_exception();
    }
  });
  if (failure) std::rethrow_exception(failure);
}

}  // namespace gan::base
