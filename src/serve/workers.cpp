#include "serve/workers.h"

#include <utility>

namespace gan::serve {

Workers::Workers(int threads, std::size_t most) : most_(most) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { run(); });
}

Workers::~Workers() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
  threads_.clear();
}

bool Workers::add(std::function<void()> work) {
  {
    const std::scoped_lock lock(mutex_);
    if (ending_ || queue_.size() >= most_) return false;
    queue_.push_back(std::move(work));
  }
  changed_.notify_one();
  return true;
}

void Workers::run() {
  for (std::unique_lock lock(mutex_);;) {
    changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (ending_) return;
    std::function<void()> work = std::move(queue_.front());
    queue_.pop_front();
    lock.unlock();
    work();
    work = nullptr;  // what it captures is destroyed before the lock is taken
    lock.lock();
  }
}

}  // namespace gan::serve
