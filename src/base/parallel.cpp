#include "base/parallel.h"

#include <atomic>
#include <climits>
#include <future>
#include <system_error>
#include <thread>
#include <vector>

namespace gan::base {

namespace {

/// The largest team that OpenMP was seen to start in full, and the size of the one that it cut short. Both hold for the
/// whole process: what limits teams (OMP_THREAD_LIMIT) is read when it starts.
std::atomic<int> largest_full{1}, largest_possible{INT_MAX};

/// How many threads of `wanted` the system starts side by side. OpenMP would end the process where a limit of processes
/// (ulimit -u, a container's) forbids one.
int permitted(int wanted) {
  std::vector<std::thread> others;
  std::promise<void> counted;
  const std::shared_future<void> end = counted.get_future().share();
  try {
    while (static_cast<int>(others.size()) + 1 < wanted) others.emplace_back([end] { end.wait(); });
  } catch (const std::system_error&) {  // that was one too many
  }
  counted.set_value();
  for (std::thread& other : others) other.join();
  return static_cast<int>(others.size()) + 1;
}

/// Starts a team and counts its threads.
void measure(int wanted) {
  const int most = permitted(wanted);
  int started = 1;
#pragma omp parallel num_threads(most)
#pragma omp single
  started = omp_get_num_threads();
  (started < wanted ? largest_possible : largest_full) = started;
}

/// How many threads a team of `wanted` has if it is started here and now, while dynamic adjustment is off.
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
