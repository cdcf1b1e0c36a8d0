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

/// What a machine can do at best, to hold kernels against.
struct Rates {
  double operations = 0;  ///< of contractions, a second
  double bytes = 0;       ///< from and to memory, a second
};

/// Where time goes: how long the parts of a run, the compiler's passes and the kernels take, as tables and as a trace.
/// Whoever can be timed takes a pointer to one; without it no clock is read. For one thread, the one that runs
/// programs.
class Profile {
 public:
  using Clock = std::chrono::steady_clock;
  enum class Kind { phase, pass, kernel };

  /// Times what happens while it lives; does nothing without a profile.
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

  /// Counts a run of a program's kernel number `number`.
  void record(std::size_t number, const Kernel& kernel, Clock::time_point start, Clock::time_point end);

  /// Everything of one name, or of one name and shape.
  struct Row {
    std::string name, shape;
    std::int64_t calls = 0;
    double seconds = 0;       ///< of all calls; each of a kernel counts as the kernel's median
    double operations = 0;    ///< of all calls
    double bytes = 0;         ///< of all calls
    double best_seconds = 0;  ///< what all calls would take at the machine's rates; 0 if there is nothing to go by
  };
  /// The rows of a kind, the longest first.
  std::vector<Row> rows(Kind kind, bool by_shape, const Rates& rates = {}) const;
  std::int64_t calls(Kind kind, std::string_view name) const;
  /// Operations of all contractions so far.
  double contraction_operations() const { return contraction_operations_; }
  /// Bytes that all kernels so far read and wrote.
  double bytes() const { return bytes_; }

  /// Tables of phases, kernels and passes, for people. Times are divided by `steps`, those of passes excepted. `rates`
  /// adds how near kernels come to them: contractions by operations, all by bytes, whichever takes longer.
  std::string table(std::int64_t steps, const Rates& rates) const;

  /// The first events, up to kMaximumEvents, in the format of Chrome's tracing, which Perfetto reads too: a JSON object
  /// whose "traceEvents" are complete events ("ph": "X", times in microseconds).
  std::string trace() const;
  static constexpr std::size_t kMaximumEvents = 40'000;  ///< some hundred steps; a file of a few megabytes

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
  /// Of each product, by name and shape: the row of the backend's table that it took, and why.
  std::map<std::pair<std::string, std::string>, std::pair<std::string, std::string>> products_;
  double contraction_operations_ = 0, bytes_ = 0;
};

}  // namespace gan::runtime
