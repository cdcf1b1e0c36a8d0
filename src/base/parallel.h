#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "base/float_mode.h"
#include "base/signals.h"

// The thread sanitizer does not see how OpenMP's threads synchronize, so under it parallel_for starts threads itself.
#ifdef GAN_SANITIZES_THREADS
#include <thread>
#include <vector>
#endif

namespace gan::base {

/// The number of processors that this process may run on.
int processors();
/// Sets the number of threads for the kernels that this thread runs from now on; 0: one per processor. It holds for
/// oneDNN too, which shares OpenMP.
void set_threads(int count);
/// The number of threads that a kernel started now uses: the number set, fewer if OpenMP starts fewer (as with
/// OMP_THREAD_LIMIT), 1 inside another parallel region.
int threads();

/// For the lifetime of the object, parallel regions that this thread starts have exactly count() threads, whatever the
/// environment or the caller set. oneDNN divides work among the threads that it expects; with fewer, work would be left
/// undone or threads would wait forever.
class ScopedThreads {
 public:
  /// count() becomes `count`, or fewer if OpenMP cannot start as many.
  explicit ScopedThreads(int count);
  ~ScopedThreads();
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;
  int count() const { return count_; }

 private:
  int count_before_, dynamic_before_, count_ = 1;
};

/// Calls function(begin, end) in parallel on ranges that together cover [0, count), each of at least `grain` items (or
/// all). The ranges depend on count, grain and the number of threads alone. All threads use the caller's floating-point
/// mode.
template <typename Function>
void parallel_for(std::int64_t count, std::int64_t grain, const Function& function) {
  std::int64_t workers = count / std::max<std::int64_t>(grain, 1);
  if (workers > 1) workers = std::min<std::int64_t>(workers, threads());
  if (workers <= 1) {
    if (count > 0) function(std::int64_t{0}, count);
    return;
  }
  const auto run = [&, mode = ScopedFloatMode::current()](std::int64_t me, std::int64_t all) {
    const ScopedFloatMode same(mode);
    if (me > 0) ScopedSignalBlock::forever();
    const std::int64_t begin = count * me / all, end = count * (me + 1) / all;
    if (begin < end) function(begin, end);
  };
#ifdef GAN_SANITIZES_THREADS
  std::vector<std::thread> others;
  for (std::int64_t me = 1; me < workers; ++me) others.emplace_back(run, me, workers);
  run(0, workers);
  for (std::thread& other : others) other.join();
#else
#pragma omp parallel num_threads(static_cast <int>(workers))
  run(omp_get_thread_num(), omp_get_num_threads());
#endif
}

}  // namespace gan::base
