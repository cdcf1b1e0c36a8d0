#include "runtime/profile.h"

#include <fmt/core.h>

#include <algorithm>
#include <nlohmann/json.hpp>

namespace gan::runtime {

namespace {

constexpr std::size_t kTimesKept = 4096;  // per kernel, for the median
constexpr std::size_t kRowsShown = 30;    // of the table by shapes

double median(std::vector<float> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return static_cast<double>(*middle);
}

/// part / whole as text, "-" if whole is 0.
std::string percent(double part, double whole) { return whole > 0 ? fmt::format("{:.1f}%", 100 * part / whole) : "-"; }
std::string giga(double amount, double seconds) {
  return amount > 0 ? fmt::format("{:.1f}", amount / std::max(seconds, 1e-12) / 1e9) : "-";
}

}  // namespace

Profile::Record& Profile::record(const Key& key, Clock::time_point start, Clock::time_point end) {
  Entry& entry = *records_.try_emplace(key).first;
  Record& record = entry.second;
  const double seconds = std::chrono::duration<double>(end - start).count();
  ++record.calls;
  record.total += seconds;
  if (record.seconds.size() < kTimesKept) record.seconds.push_back(static_cast<float>(seconds));
  if (events_.size() < kMaximumEvents) events_.push_back({&entry, start, end});
  return record;
}

void Profile::record(std::size_t number, const Kernel& kernel, Clock::time_point start, Clock::time_point end) {
  Record& entry = record({Kind::kernel, number, kernel.name, kernel.shape}, start, end);
  entry.operations += kernel.operations;
  entry.bytes += kernel.bytes;
  entry.contraction = kernel.contraction;
  if (!kernel.row.empty()) products_[{kernel.name, kernel.shape}] = {kernel.row, kernel.reason};
  if (kernel.contraction) contraction_operations_ += kernel.operations;
  bytes_ += kernel.bytes;
}

std::vector<Profile::Row> Profile::rows(Kind kind, bool by_shape, const Rates& rates) const {
  std::map<std::pair<std::string, std::string>, Row> sums;
  for (const auto& [key, record] : records_) {
    if (key.kind != kind) continue;
    const std::string shape = by_shape ? key.shape : "";
    Row& row = sums[{key.name, shape}];
    row.name = key.name;
    row.shape = shape;
    row.calls += record.calls;
    // Kernels run often: the median leaves out delays by other processes. Phases and passes are few and vary.
    row.seconds += kind == Kind::kernel ? static_cast<double>(record.calls) * median(record.seconds) : record.total;
    row.operations += record.operations;
    row.bytes += record.bytes;
    const double moving = rates.bytes > 0 ? record.bytes / rates.bytes : 0;
    const double computing = record.contraction && rates.operations > 0 ? record.operations / rates.operations : 0;
    row.best_seconds += std::max(moving, computing);
  }
  std::vector<Row> result;
  for (const auto& [key, row] : sums) result.push_back(row);
  std::ranges::stable_sort(result, std::ranges::greater(), &Row::seconds);
  return result;
}

std::int64_t Profile::calls(Kind kind, std::string_view name) const {
  std::int64_t count = 0;
  for (const auto& [key, record] : records_)
    if (key.kind == kind && key.name == name) count += record.calls;
  return count;
}

std::string Profile::table(std::int64_t steps, const Rates& rates) const {
  const double per_step = 1e3 / static_cast<double>(std::max<std::int64_t>(steps, 1));  // milliseconds
  std::string text = fmt::format("{:>7}  {:>9}  {:>9}  part of the run\n", "calls", "ms", "ms/step");
  for (const Row& row : rows(Kind::phase, false))
    text += fmt::format("{:7}  {:9.1f}  {:9.4f}  {}\n", row.calls, 1e3 * row.seconds, per_step * row.seconds, row.name);

  for (const bool by_shape : {false, true}) {
    const std::vector<Row> kernels = rows(Kind::kernel, by_shape, rates);
    double total = 0;
    for (const Row& row : kernels) total += row.seconds;
    text += fmt::format("\n{:>7}  {:>9}  {:>6}  {:>8}  {:>7}  {:>7}  kernel\n", "calls", "ms/step", "share", "GFLOP/s",
                        "GB/s", "of best");
    Row rest;
    for (std::size_t i = 0; i < kernels.size(); ++i) {
      Row row = kernels[i];
      if (by_shape && i >= kRowsShown) {
        rest.calls += row.calls;
        rest.seconds += row.seconds;
        rest.operations += row.operations;
        rest.bytes += row.bytes;
        rest.best_seconds += row.best_seconds;
        if (i + 1 < kernels.size()) continue;
        rest.name = fmt::format("({} more)", kernels.size() - kRowsShown);
        row = rest;
      }
      text += fmt::format("{:7}  {:9.4f}  {:>6}  {:>8}  {:>7}  {:>7}  {}{}{}\n", row.calls, per_step * row.seconds,
                          percent(row.seconds, total), giga(row.operations, row.seconds), giga(row.bytes, row.seconds),
                          row.best_seconds > 0 ? percent(row.best_seconds, row.seconds) : "-", row.name,
                          row.shape.empty() ? "" : "  ", row.shape);
    }
    if (!by_shape) text += fmt::format("{:>7}  {:9.4f}  all kernels\n", "", per_step * total);
  }

  if (!products_.empty()) text += "\nproducts and the kernel that was chosen for each (gan bench step --disable ROW)\n";
  std::map<std::string, std::string> reasons;
  for (const auto& [product, taken] : products_) {
    reasons.insert(taken);
    text += fmt::format("{:>20}  {}  {}\n", taken.first, product.first, product.second);
  }
  for (const auto& [row, reason] : reasons) text += fmt::format("{:>20}: {}\n", row, reason);

  text += fmt::format("\n{:>7}  {:>9}  pass\n", "calls", "ms");
  for (const Row& row : rows(Kind::pass, false))
    text += fmt::format("{:7}  {:9.3f}  {}\n", row.calls, 1e3 * row.seconds, row.name);
  return text;
}

std::string Profile::trace() const {
  const auto microseconds = [](Clock::duration time) {
    return std::chrono::duration<double, std::micro>(time).count();
  };
  nlohmann::ordered_json events = nlohmann::ordered_json::array();
  for (const auto& [entry, start, end] : events_) {
    const auto& [key, record] = *entry;
    nlohmann::ordered_json event{{"name", key.name},
                                 {"cat", key.kind == Kind::phase  ? "phase"
                                         : key.kind == Kind::pass ? "pass"
                                                                  : "kernel"},
                                 {"ph", "X"},
                                 {"ts", microseconds(start - begin_)},
                                 {"dur", microseconds(end - start)},
                                 {"pid", 1},
                                 {"tid", 1}};
    if (key.kind == Kind::kernel) {
      const auto calls = static_cast<double>(record.calls);
      event["args"] = {
          {"shape", key.shape}, {"operations", record.operations / calls}, {"bytes", record.bytes / calls}};
    }
    events.push_back(std::move(event));
  }
  return nlohmann::ordered_json{{"displayTimeUnit", "ms"}, {"traceEvents", std::move(events)}}.dump() + "\n";
}

}  // namespace gan::runtime
