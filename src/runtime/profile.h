#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/backend.h"

namespace gan::runtime {

/// Peak rates of the machine, which kernels are compared with.
struct Rates {
  double operations = 0;  ///< operations of contractions per second
  double bytes = 0;       ///< bytes from and to memory per second
};

/// Times of the phases of a run, the passes of the compiler and the kernels, as tables and as a trace. Timed code takes
/// a pointer to a Profile; null means no timing. Not thread-safe: for the thread that runs programs.
class Profile {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Kind { phase, pass, kernel };

  /// Times its own lifetime; does nothing without a profile.
  class Timer {
   public:
    Timer(Profile* profile, Kind kind, std::string_view name) : profile_(profile), kind_(kind), name_(name) {
      if (profile_) start_ = Clock::now();
    }
    ~Timer() {
      if (profile_) profile_->record({kind_, 0, std::string(name_), ""}, start_, Clock::now());
    }
    Timer(const Timer&) = delete;
    Timer& operator=(const Timer&) = delete;

   private:
    Profile* profile_;
    Kind kind_;
    std::string_view name_;
    Clock::time_point start_;
  };

  /// Adds one run of kernel `number` of a program.
  void record(std::size_t number, const Kernel& kernel, Clock::time_point start, Clock::time_point end);

  /// Totals of one name, or of one name and shape.
  struct Row {
    std::string name, shape;
    std::int64_t calls = 0;
    double seconds = 0;       ///< of all calls; for kernels, calls times the median
    double operations = 0;    ///< of all calls
    double bytes = 0;         ///< of all calls
    double best_seconds = 0;  ///< of all calls at the peak rates; 0 if none applies
  };
  /// The rows of a kind, longest time first.
  std::vector<Row> rows(Kind kind, bool by_shape, const Rates& rates = {}) const;
  std::int64_t calls(Kind kind, std::string_view name) const;
  /// Operations of all contractions recorded.
  double contraction_operations() const { return contraction_operations_; }
  /// Bytes read and written by all kernels recorded.
  double bytes() const { return bytes_; }

  /// Tables of phases, kernels and passes, for people. Times are divided by `steps`, except those of passes. `rates`
  /// adds the percentage of the peak that kernels reach, by operations (contractions) or bytes, whichever bounds them.
  std::string table(std::int64_t steps, const Rates& rates) const;

  /// The first events, up to kMaximumEvents, in the format of Chrome's tracing, which Perfetto reads too: a JSON object
  /// whose "traceEvents" are complete events ("ph": "X", times in microseconds).
  std::string trace() const;
  static constexpr std::size_t kMaximumEvents = 40'000;  ///< a few hundred steps; a file of a few megabytes

 private:
  struct Key {
    Kind kind;
    std::size_t number;  // of a kernel in its program
    std::string name, shape;
    auto operator<=>(const Key&) const = default;
  };
  struct Record {
    std::int64_t calls = 0;
    double operations = 0, bytes = 0;
    bool contraction = false;
    double total = 0;            // seconds
    std::vector<float> seconds;  // of the first calls
  };
  using Entry = std::map<Key, Record>::value_type;
  struct Event {
    const Entry* entry;
    Clock::time_point start, end;
  };

  Record& record(const Key& key, Clock::time_point start, Clock::time_point end);

  Clock::time_point begin_ = Clock::now();
  std::map<Key, Record> records_;
  std::vector<Event> events_;
  /// The row of the table of products and its reason, by name and shape of the product.
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> products_;
  double contraction_operations_ = 0, bytes_ = 0;
};

}  // namespace gan::runtime
