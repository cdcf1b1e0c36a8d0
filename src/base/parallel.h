#pragma once

#include <omp.h>

#include <algorithm>
#include <cstdint>

#include "base/float_mode.h"

// The thread sanitizer does not see OpenMP's threads wait for each other: for it, parallel_for makes threads of its
// own.
#ifdef GAN_SANITIZES_THREADS
#include <thread>
#include <vector>
#endif

namespace gan::base {

/// Processors that this process may run on.
int processors();
/// Asks for so many threads for the kernels that this thread runs from now on; 0: for one on every processor. OpenMP is
/// shared with oneDNN.
void set_threads(int count);
/// The number of threads that a kernel started now uses: those asked for, fewer where OpenMP was seen to start fewer
/// (as with OMP_THREAD_LIMIT), 1 inside of another parallel region.
int threads();

/// While one lives, teams that this thread starts have exactly count() threads, whatever the environment or the caller
/// set: oneDNN divides work among the threads that it expects, and fewer of them would leave work undone or wait
/// forever.
class ScopedThreads {
 public:
  /// count() is `count`, or what OpenMP can start of it.
  explicit ScopedThreads(int count);
  ~ScopedThreads();
  ScopedThreads(const ScopedThreads&) = delete;
  ScopedThreads& operator=(const ScopedThreads&) = delete;
  int count() const { return count_; }

 private:
  int count_before_, dynamic_before_, count_ = 1;
};

/// Calls function(begin, end) on ranges that together cover [0, count). Work below two grains stays on this thread, and
/// the others compute in its floating-point mode.
/// The ranges depend on count, grain and the number of threads alone.
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
