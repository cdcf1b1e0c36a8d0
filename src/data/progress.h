#pragma once

#include <fmt/core.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <utility>

#include "base/text.h"

namespace gan::data {

/// Reports at the start and about once a second how much of some work is done. For use by one thread.
class Progress {
 public:
  /// `say` gets each line; it may be empty and must outlive this. `what`: the work, such as "writing pictures".
  Progress(const std::function<void(const std::string&)>& say, std::string what, std::int64_t total)
      : say_(say), what_(std::move(what)), total_(total) {}

  void operator()(std::int64_t done) {
    const auto now = std::chrono::steady_clock::now();
    if (!say_ || (done > 0 && now - said_ < std::chrono::seconds(1))) return;
    said_ = now;
    say_(fmt::format("{}: {} of {}", what_, base::grouped(static_cast<std::uint64_t>(done)),
                     base::grouped(static_cast<std::uint64_t>(total_))));
  }

 private:
  const std::function<void(const std::string&)>& say_;
  std::string what_;
  std::int64_t total_;
  std::chrono::steady_clock::time_point said_ = std::chrono::steady_clock::now();
};

}  // namespace gan::data
