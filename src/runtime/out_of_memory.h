#pragma once

#include <cstddef>
#include <string>

#include "base/error.h"

namespace gan::runtime {

/// A device has no room for an allocation.
class OutOfMemory : public base::Error {
 public:
  /// Sizes in bytes: what was wanted at once, what is free and what the device has.
  OutOfMemory(const std::string& device, std::size_t wanted, std::size_t free, std::size_t total)
      : Error(base::ErrorKind::run, fmt::format("{}: out of memory: {:.2f} GB were wanted at once, {:.2f} of {:.2f} GB "
                                                "are free",
                                                device, static_cast<double>(wanted) / 1e9,
                                                static_cast<double>(free) / 1e9, static_cast<double>(total) / 1e9)),
        wanted_(wanted),
        free_(free) {}

  std::size_t wanted() const { return wanted_; }
  std::size_t free() const { return free_; }

 private:
  std::size_t wanted_, free_;
};

}  // namespace gan::runtime
