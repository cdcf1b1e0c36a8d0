#include "base/parallel.h"

#include <atomic>
#include <climits>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

#include "base/signals.h"

namespace gan::base {

namespace {

/// The largest team (of threads) that OpenMP has started in full, and the size to which it has cut a larger one. Both
/// hold for the whole process, because OpenMP reads its limit (OMP_THREAD_LIMIT) only at the start.
std::atomic<int> largest_full{1}, largest_possible{INT_MAX};

/// How many of `wanted` threads the system lets run at once. OpenMP would end the process if a limit on processes
/// (ulimit -u, a container's) stopped it from starting a thread.
int permitted(int wanted) {
  std::vector<std::thread> others;
  std::promise<void> counted;
  const std::shared_future<void> end = counted.get_future().share();
  try {
    while (static_cast<int>(others.size()) + 1 < wanted) others.emplace_back([end] { end.wait(); });
  } catch (const std::system_error&) {  // the limit is reached
  }
  counted.set_value();
  for (std::thread& other : others) other.join();
  return static_cast<int>(others.size()) + 1;
}

/// Starts a team of `wanted` threads and records how many OpenMP gave it.
void measure(int wanted) {
  const int most = permitted(wanted);
  std::atomic<int> started = 1;  // the thread sanitizer does not see the barrier behind which it is read
#pragma omp parallel num_threads(most)
  {
    if (omp_get_thread_num() > 0) ScopedSignalBlock::forever();
#pragma omp single
    started = omp_get_num_threads();
  }
  (started < wanted ? largest_possible : largest_full) = started.load();
}

/// How many threads a team of `wanted` would get if this thread started it now, with dynamic adjustment off.
int startable(int wanted) {
  // Nested teams would take more processors than the caller gave to this thread, and oneDNN starts none.
  if (wanted <= 1 || omp_in_parallel() || omp_get_max_active_levels() < 1) return 1;
  if (wanted > largest_full && wanted < largest_possible) measure(wanted);
  return std::min(wanted, largest_possible.load());
}

}  // namespace

ScopedThreads::ScopedThreads(int count) : count_before_(omp_get_max_threads()), dynamic_before_(omp_get_dynamic()) {
  if (dynamic_before_) omp_set_dynamic(0);
  count_ = startable(count);
  if (count_ != count_before_) omp_set_num_threads(count_);
}

ScopedThreads::~ScopedThreads() {
  if (count_ != count_before_) omp_set_num_threads(count_before_);
  if (dynamic_before_) omp_set_dynamic(1);
}

int processors() { return omp_get_num_procs(); }

void set_threads(int count) { omp_set_num_threads(count > 0 ? count : processors()); }

int threads() { return ScopedThreads(omp_get_max_threads()).count(); }

}  // namespace gan::base
