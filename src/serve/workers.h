#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gan::serve {

/// Threads that run functions in the order in which they came.
class Workers {
 public:
  /// `most`: functions that may wait.
  Workers(int threads, std::size_t most);
  /// Waits for the function that each thread runs; those that wait are dropped.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// False if too many wait. `work` must not throw.
  bool add(std::function<void()> work);

 private:
  void run();

  const std::size_t most_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> queue_;
  bool ending_ = false;
  std::vector<std::jthread> threads_;
};

}  // namespace gan::serve
