#pragma once

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#include <vector>

namespace gan::serve {

/// A pool of threads that runs functions in the order in which they were added.
class Workers {
 public:
  /// `most`: how many functions may wait.
  Workers(int threads, std::size_t most);
  /// Waits for the running functions; drops the waiting ones.
  ~Workers();
  Workers(const Workers&) = delete;
  Workers& operator=(const Workers&) = delete;

  /// Returns false if too many functions wait. `work` must not throw.
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
