// Measures how long a GPU is idle within CUDA graphs, by CUPTI's record of their kernels, copies and fills. The driver
// loads this library into any program that is started with
//
//     CUDA_INJECTION64_PATH=libgpu_timeline.so GPU_TIMELINE=FILE PROGRAM
//
// When the program ends, FILE has one line of JSON about all graphs of two nodes or more:
//   launches      how many of them were launched
//   nodes         of the median launch
//   median_us     of a launch, from its first node's start to its last node's end
//   idle          share of that time in which no node ran, of all launches together
// Recording takes time between nodes, so `idle` without it is lower.
#include <cupti.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <mutex>
#include <utility>
#include <vector>

namespace {

using Interval = std::pair<std::uint64_t, std::uint64_t>;  // start and end in ns

std::mutex mutex;
std::map<std::uint32_t, std::vector<Interval>> nodes_of_launch;  // by the launch's correlation id

template <typename Record>
void add(const CUpti_Activity* activity) {
  const auto& node = *reinterpret_cast<const Record*>(activity);
  if (node.graphNodeId == 0) return;  // started by itself, not by a graph
  const std::lock_guard lock(mutex);
  nodes_of_launch[node.correlationId].emplace_back(node.start, node.end);
}

void CUPTIAPI give_buffer(std::uint8_t** buffer, std::size_t* bytes, std::size_t* most_records) {
  *bytes = std::size_t{8} << 20;
  *buffer = static_cast<std::uint8_t*>(std::aligned_alloc(8, *bytes));
  *most_records = 0;  // as many as fit
}

void CUPTIAPI take_buffer(CUcontext, std::uint32_t, std::uint8_t* buffer, std::size_t, std::size_t bytes) {
  CUpti_Activity* activity = nullptr;
  while (cuptiActivityGetNextRecord(buffer, bytes, &activity) == CUPTI_SUCCESS) {
    // Later versions of these records only have more fields at their ends.
    if (activity->kind == CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) add<CUpti_ActivityKernel9>(activity);
    if (activity->kind == CUPTI_ACTIVITY_KIND_MEMCPY) add<CUpti_ActivityMemcpy5>(activity);
    if (activity->kind == CUPTI_ACTIVITY_KIND_MEMSET) add<CUpti_ActivityMemset4>(activity);
  }
  std::free(buffer);
}

/// Nanoseconds in which at least one of the intervals, sorted by start, runs.
std::uint64_t busy_time(const std::vector<Interval>& sorted) {
  std::uint64_t busy = 0, seen_to = 0;
  for (const auto& [start, end] : sorted) {
    if (end > std::max(start, seen_to)) busy += end - std::max(start, seen_to);
    seen_to = std::max(seen_to, end);
  }
  return busy;
}

template <typename Value>
Value median(std::vector<Value> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

void write_result() {
  cuptiActivityFlushAll(1);
  const char* path = std::getenv("GPU_TIMELINE");
  std::FILE* file = path ? std::fopen(path, "w") : nullptr;
  if (!file) return;
  std::vector<std::uint64_t> spans;
  std::vector<std::size_t> sizes;
  std::uint64_t busy = 0, total = 0;
  const std::lock_guard lock(mutex);
  for (auto& [launch, nodes] : nodes_of_launch) {
    if (nodes.size() < 2) continue;
    std::sort(nodes.begin(), nodes.end());
    std::uint64_t end = 0;
    for (const Interval& node : nodes) end = std::max(end, node.second);
    spans.push_back(end - nodes.front().first);
    sizes.push_back(nodes.size());
    busy += busy_time(nodes);
    total += spans.back();
  }
  if (total > 0)
    std::fprintf(file, "{\"launches\": %zu, \"nodes\": %zu, \"median_us\": %.2f, \"idle\": %.4f}\n", spans.size(),
                 median(sizes), 1e-3 * static_cast<double>(median(spans)),
                 1 - static_cast<double>(busy) / static_cast<double>(total));
  std::fclose(file);
}

}  // namespace

/// The driver calls this once, when the program has initialized it. Returns 1 if recording began.
extern "C" __attribute__((visibility("default"))) int InitializeInjection() {
  for (const CUpti_ActivityKind kind :
       {CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL, CUPTI_ACTIVITY_KIND_MEMCPY, CUPTI_ACTIVITY_KIND_MEMSET})
    if (cuptiActivityEnable(kind) != CUPTI_SUCCESS) return 0;
  if (cuptiActivityRegisterCallbacks(give_buffer, take_buffer) != CUPTI_SUCCESS) return 0;
  return std::atexit(write_result) == 0;
}
