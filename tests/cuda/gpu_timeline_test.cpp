#include "../../bench/gpu_timeline.cpp"  // the functions below stand for those of CUPTI that it calls

#include <gtest/gtest.h>

#include <fstream>
#include <string>
#include <vector>

namespace {

std::vector<CUpti_ActivityKernel9> recorded;
std::size_t read_records = 0;
CUpti_BuffersCallbackRequestFunc request_buffer = nullptr;
CUpti_BuffersCallbackCompleteFunc complete_buffer = nullptr;

CUpti_ActivityKernel9 kernel(std::uint32_t launch, std::uint64_t node, std::uint64_t start, std::uint64_t end) {
  CUpti_ActivityKernel9 record{};
  record.kind = CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL;
  record.correlationId = launch;
  record.graphNodeId = node;
  record.start = start;
  record.end = end;
  return record;
}

}  // namespace

extern "C" CUptiResult cuptiActivityEnable(CUpti_ActivityKind) { return CUPTI_SUCCESS; }

extern "C" CUptiResult cuptiActivityRegisterCallbacks(CUpti_BuffersCallbackRequestFunc request,
                                                      CUpti_BuffersCallbackCompleteFunc complete) {
  request_buffer = request;
  complete_buffer = complete;
  return CUPTI_SUCCESS;
}

extern "C" CUptiResult cuptiActivityGetNextRecord(std::uint8_t*, std::size_t, CUpti_Activity** record) {
  if (read_records == recorded.size()) return CUPTI_ERROR_MAX_LIMIT_REACHED;
  *record = reinterpret_cast<CUpti_Activity*>(&recorded[read_records++]);
  return CUPTI_SUCCESS;
}

extern "C" CUptiResult cuptiActivityFlushAll(std::uint32_t) {
  std::uint8_t* buffer = nullptr;
  std::size_t bytes = 0, most_records = 0;
  request_buffer(&buffer, &bytes, &most_records);
  complete_buffer(nullptr, 0, buffer, bytes, bytes);
  return CUPTI_SUCCESS;
}

namespace gan {
namespace {

TEST(GpuTimeline, CountsWhatNoNodeOfAGraphCovers) {
  const std::string path = testing::TempDir() + "timeline.json";
  const auto run = [&] {
    recorded = {kernel(1, 11, 1000, 3000),   kernel(1, 12, 2000, 4000),   kernel(1, 13, 5000, 6000),  // 1 of 5 us idle
                kernel(2, 11, 9000, 10000),  kernel(2, 13, 13000, 14000),                             // 3 of 5 us
                kernel(3, 11, 20000, 30000),                               // a graph of one node
                kernel(4, 0, 15000, 16000),  kernel(4, 0, 18000, 19000)};  // no graph
    setenv("GPU_TIMELINE", path.c_str(), 1);
    std::exit(InitializeInjection() == 1 ? 0 : 1);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(0), "");
  std::string line;
  std::getline(std::ifstream(path), line);
  EXPECT_EQ(line, R"({"launches": 2, "nodes": 3, "median_us": 5.00, "idle": 0.4000})");
}

}  // namespace
}  // namespace gan
