#include "cuda/stand_in.h"

#include <dlfcn.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdlib>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <stdexcept>
#include <thread>
#include <utility>

#include "base/bf16.h"
#include "base/file.h"
#include "base/float_mode.h"
#include "base/sha256.h"
#include "runtime/cuda/backend.h"
#include "runtime/reference/spec.h"

namespace gan::test {

namespace fs = std::filesystem;

namespace {

/// An operation of a captured graph and the numbers of those that it waits for.
struct GraphNode {
  std::function<void()> operation;
  std::vector<std::size_t> earlier;
};
using GraphNodes = std::vector<GraphNode>;

/// A graph that is being captured, and the nodes that the next one will wait for, by their numbers plus one.
struct Capture {
  GraphNodes nodes;
  std::vector<CUgraphNode> current;
};

constexpr std::size_t kAlignment = 256;  // of allocations, as cuMemAlloc's are

struct HostChecks {
  const char* memory;
  std::size_t bytes;
  unsigned char* written;
  void (*fail)(const char* reason, long long index, long long count);
};

[[noreturn]] void misuse(const std::string& text) { throw std::logic_error("the stand-in: " + text); }

void require(bool condition, const char* text) {
  if (!condition) misuse(text);
}

void* mapped(std::size_t bytes) {
  void* const at = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (at == MAP_FAILED) throw std::bad_alloc();
  return at;
}

/// A module: a shared object, or nothing if sources are only collected.
struct Module {
  void* library = nullptr;
};
struct Function {
  std::string name;
  void (*run)(void**, unsigned, unsigned, unsigned, bool) = nullptr;
  unsigned count = 0;
};
struct Event {
  std::chrono::steady_clock::time_point at;
};
struct Source {
  std::string text, log, image;
};
struct Operation {
  bool transpose_a = false, transpose_b = false, adds_bias = false;
  CUdeviceptr bias = 0;
};
struct Layout {
  cudaDataType_t type;
  std::uint64_t rows, columns;
  std::int64_t stride;
};
struct Preference {
  std::uint64_t workspace = 0;
  std::uint32_t alignment[4] = {256, 256, 256, 256};  // of A, B, C, D, as cuBLASLt assumes
};
/// What the heuristic promises for a product, in place of an algorithm.
struct Algorithm {
  std::uint64_t workspace, rows, columns, depth;
  std::uint32_t alignment[4];
};
static_assert(sizeof(Algorithm) <= sizeof(cublasLtMatmulAlgo_t));

/// Thrown by an operation that never ends: it waits for a rank that has left.
struct Endless {};

}  // namespace

struct StandInState {
  StandInOptions options;
  char* memory = nullptr;
  unsigned char* written = nullptr;  // of each two bytes
  std::map<std::size_t, std::size_t> blocks;
  std::deque<std::function<void()>> queue;
  /// The second stream: what it does, and the events that it records then. It does nothing before the first stream
  /// waits for it, so that a wait that is missing is found.
  std::deque<std::pair<std::function<void()>, CUevent>> copies;
  std::unique_ptr<Capture> captured;  // while the stream is captured
  bool only_collect = false;
  std::vector<std::string> sources;
  std::vector<std::unique_ptr<Module>> modules;
  std::vector<std::unique_ptr<Function>> functions;
  std::vector<std::unique_ptr<Event>> events;
  std::vector<std::unique_ptr<std::byte[]>> pinned;
  runtime::cuda::Functions table;
  bool has_stream = false;
  int captures = 0, launched_graphs = 0, compilations = 0, copies_to_device = 0, device = -1;
  int sums = 0, sums_in_graphs = 0;                            // over ranks
  int biases = 0;                                              // that products added
  std::size_t in_graphs = 0, before_graph = 0, reordered = 0;  // operations of graphs

  void push(std::function<void()> operation) {
    if (!captured) {
      queue.push_back(std::move(operation));
      return;
    }
    GraphNode& node = captured->nodes.emplace_back();
    node.operation = std::move(operation);
    for (const CUgraphNode earlier : captured->current)
      node.earlier.push_back(reinterpret_cast<std::uintptr_t>(earlier) - 1);
    captured->current = {reinterpret_cast<CUgraphNode>(captured->nodes.size())};
  }
  /// Does what is on the stream; false if an operation never ends.
  [[nodiscard]] bool is_done() {
    require(!captured, "a wait while the stream is captured");
    const base::ScopedFloatMode flush(base::ScopedFloatMode::without_denormals());
    while (!queue.empty()) {
      const std::function<void()> operation = std::move(queue.front());
      queue.pop_front();  // first: a misuse is thrown once
      if (only_collect) continue;
      try {
        operation();
      } catch (const Endless&) {
        queue.push_front(operation);
        return false;
      }
    }
    return true;
  }
  /// Waits as the driver does, also for a sum whose communicator another thread is about to abort.
  void finish() {
    for (int turn = 0; !is_done(); ++turn) {
      require(turn < 5000, "a wait that never ends");
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }
  std::size_t offset(CUdeviceptr at, std::size_t bytes) const {
    const std::size_t offset = at - reinterpret_cast<CUdeviceptr>(memory);
    auto block = blocks.upper_bound(offset);
    require(block != blocks.begin(), "an address that was not allocated");
    --block;
    require(offset + bytes <= block->first + block->second, "an access behind the end of an allocation");
    return offset;
  }
  void mark(std::size_t offset, std::size_t bytes) const { std::memset(written + offset / 2, 1, (bytes + 1) / 2); }
  void require_written(std::size_t offset, std::size_t bytes, const char* text) const {
    const auto* const begin = written + offset / 2;
    require(std::find(begin, begin + bytes / 2, 0) == begin + bytes / 2, text);
  }
};

namespace {

thread_local StandInState* latest = nullptr;   // whose devices the driver lists
thread_local StandInState* current = nullptr;  // by cuCtxSetCurrent

StandInState& now() {
  require(current != nullptr, "a call without a current context");
  return *current;
}

void fail_in_kernel(const char* reason, long long index, long long count) {
  misuse(fmt::format("a kernel uses {} (element {} of {})", reason, index, count));
}

// ---- the driver ----

CUresult init(unsigned) { return CUDA_SUCCESS; }
CUresult driver_version(int* version) { return *version = 13000, CUDA_SUCCESS; }
CUresult device_count(int* count) { return *count = latest ? latest->options.devices : 0, CUDA_SUCCESS; }
CUresult get_device(CUdevice* device, int number) { return *device = latest->device = number, CUDA_SUCCESS; }
CUresult device_name(char* name, int length, CUdevice) {
  return std::strncpy(name, "stand-in", static_cast<std::size_t>(length)), CUDA_SUCCESS;
}
CUresult attribute(int* value, CUdevice_attribute attribute, CUdevice) {
  const int capability = latest->options.capability;
  *value = attribute == CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR ? capability / 10 : capability % 10;
  return CUDA_SUCCESS;
}
CUresult retain(CUcontext* context, CUdevice) { return *context = reinterpret_cast<CUcontext>(latest), CUDA_SUCCESS; }
CUresult set_current(CUcontext context) { return current = reinterpret_cast<StandInState*>(context), CUDA_SUCCESS; }
CUresult error_name(CUresult, const char** text) { return *text = "CUDA_ERROR_OF_THE_STAND_IN", CUDA_SUCCESS; }
CUresult error_text(CUresult, const char** text) { return *text = "an error", CUDA_SUCCESS; }

std::size_t in_use(const StandInState& state) {
  std::size_t bytes = 0;
  for (const auto& [offset, size] : state.blocks) bytes += size;
  return bytes;
}
CUresult memory_info(std::size_t* free, std::size_t* total) {
  const StandInOptions& options = now().options;
  *total = options.says_total > 0 ? options.says_total : options.memory;
  *free = std::min(options.memory - in_use(now()), options.says_free);
  return CUDA_SUCCESS;
}
CUresult allocate(CUdeviceptr* at, std::size_t bytes) {
  StandInState& s = now();
  require(!s.captured, "an allocation while the stream is captured");
  require(bytes > 0, "an allocation of no bytes");
  std::size_t begin = 0;
  for (const auto& [offset, size] : s.blocks) {
    if (begin + bytes + kAlignment <= offset) break;
    begin = (offset + size + 2 * kAlignment - 1) / kAlignment * kAlignment;  // with a gap, which nobody may touch
  }
  if (begin + bytes > s.options.memory) return CUDA_ERROR_OUT_OF_MEMORY;
  s.blocks[begin] = bytes;
  *at = reinterpret_cast<CUdeviceptr>(s.memory) + begin;
  return CUDA_SUCCESS;
}
CUresult release(CUdeviceptr at) {
  StandInState& s = now();
  s.finish();
  const auto block = s.blocks.find(at - reinterpret_cast<CUdeviceptr>(s.memory));
  require(block != s.blocks.end(), "cuMemFree of an address that was not allocated");
  std::memset(s.written + block->first / 2, 0, (block->second + 1) / 2);
  s.blocks.erase(block);
  return CUDA_SUCCESS;
}
CUresult allocate_pinned(void** at, std::size_t bytes) {
  return *at = now().pinned.emplace_back(new std::byte[bytes]).get(), CUDA_SUCCESS;
}

bool is_second(CUstream stream) { return stream == reinterpret_cast<CUstream>(&now().copies); }

CUresult to_device(CUdeviceptr to, const void* from, std::size_t bytes, CUstream stream) {
  StandInState& s = now();
  ++s.copies_to_device;
  std::function<void()> copy = [&s, from, bytes, offset = s.offset(to, bytes)] {
    std::memcpy(s.memory + offset, from, bytes);
    s.mark(offset, bytes);
  };
  if (is_second(stream))
    s.copies.emplace_back(std::move(copy), nullptr);
  else
    s.push(std::move(copy));
  return CUDA_SUCCESS;
}
CUresult to_host(void* to, CUdeviceptr from, std::size_t bytes, CUstream) {
  StandInState& s = now();
  if (s.only_collect) std::memset(to, 0, bytes);
  s.push([&s, to, bytes, offset = s.offset(from, bytes)] {
    s.require_written(offset, bytes, "a copy to the host of what nobody wrote");
    std::memcpy(to, s.memory + offset, bytes);
  });
  return CUDA_SUCCESS;
}
CUresult within_device(CUdeviceptr to, CUdeviceptr from, std::size_t bytes, CUstream) {
  StandInState& s = now();
  s.push([&s, bytes, source = s.offset(from, bytes), offset = s.offset(to, bytes)] {
    s.require_written(source, bytes, "a copy of what nobody wrote");
    std::memmove(s.memory + offset, s.memory + source, bytes);
    s.mark(offset, bytes);
  });
  return CUDA_SUCCESS;
}
CUresult set_bytes(CUdeviceptr to, unsigned char value, std::size_t bytes, CUstream) {
  StandInState& s = now();
  s.push([&s, value, bytes, offset = s.offset(to, bytes)] {
    std::memset(s.memory + offset, value, bytes);
    s.mark(offset, bytes);
  });
  return CUDA_SUCCESS;
}

CUresult make_stream(CUstream* stream, unsigned) {
  const bool second = std::exchange(now().has_stream, !now().has_stream);  // each device makes two
  *stream = second ? reinterpret_cast<CUstream>(&now().copies) : reinterpret_cast<CUstream>(&now());
  return CUDA_SUCCESS;
}
CUresult wait(CUstream stream) {
  require(stream == reinterpret_cast<CUstream>(&now()), "another stream");
  return now().finish(), CUDA_SUCCESS;
}
CUresult is_stream_done(CUstream) { return now().is_done() ? CUDA_SUCCESS : CUDA_ERROR_NOT_READY; }
CUresult begin_capture(CUstream, CUstreamCaptureMode) {
  require(!now().captured, "a capture inside of a capture");
  ++now().captures;
  if (now().options.refused_captures >= 3) return CUDA_ERROR_NOT_SUPPORTED;
  now().captured = std::make_unique<Capture>();
  return CUDA_SUCCESS;
}
CUresult capture_info(CUstream, CUstreamCaptureStatus* status, cuuint64_t*, CUgraph*, const CUgraphNode** nodes,
                      std::size_t* count) {
  require(now().captured != nullptr, "a question about a capture that was not begun");
  *status = CU_STREAM_CAPTURE_STATUS_ACTIVE;
  *nodes = now().captured->current.data();
  *count = now().captured->current.size();
  return CUDA_SUCCESS;
}
CUresult set_dependencies(CUstream, CUgraphNode* nodes, std::size_t count, unsigned flags) {
  require(now().captured && nodes && flags == CU_STREAM_SET_CAPTURE_DEPENDENCIES, "dependencies of no capture");
  if (now().options.refused_captures >= 1) return CUDA_ERROR_NOT_SUPPORTED;
  now().captured->current.assign(nodes, nodes + count);
  return CUDA_SUCCESS;
}
CUresult end_capture(CUstream, CUgraph* graph) {
  require(now().captured != nullptr, "the end of a capture that was not begun");
  return *graph = reinterpret_cast<CUgraph>(std::exchange(now().captured, nullptr).release()), CUDA_SUCCESS;
}
CUresult instantiate(CUgraphExec* exec, CUgraph graph, unsigned long long) {
  if (now().options.refused_captures >= 2) return CUDA_ERROR_NOT_SUPPORTED;
  return *exec = reinterpret_cast<CUgraphExec>(new GraphNodes(reinterpret_cast<Capture*>(graph)->nodes)), CUDA_SUCCESS;
}
CUresult launch_graph(CUgraphExec exec, CUstream) {
  // The order that differs most from that of the capture, as far as the dependencies allow: always the last node that
  // may run. A dependency that is missing gives other results.
  const auto& nodes = *reinterpret_cast<GraphNodes*>(exec);
  std::vector<std::vector<std::size_t>> later(nodes.size());
  std::vector<std::size_t> missing(nodes.size());
  std::set<std::size_t> ready;
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    missing[i] = nodes[i].earlier.size();
    for (const std::size_t j : nodes[i].earlier) later[j].push_back(i);
    if (missing[i] == 0) ready.insert(i);
  }
  while (!ready.empty()) {
    const std::size_t i = *ready.rbegin();
    ready.erase(i);
    now().push(nodes[i].operation);
    now().reordered += i != now().in_graphs++ - now().before_graph;
    for (const std::size_t next : later[i])
      if (--missing[next] == 0) ready.insert(next);
  }
  now().before_graph = now().in_graphs;
  return ++now().launched_graphs, CUDA_SUCCESS;
}
CUresult destroy_exec(CUgraphExec exec) { return delete reinterpret_cast<GraphNodes*>(exec), CUDA_SUCCESS; }
CUresult destroy_graph(CUgraph graph) { return delete reinterpret_cast<Capture*>(graph), CUDA_SUCCESS; }

CUresult make_event(CUevent* event, unsigned) {
  return *event = reinterpret_cast<CUevent>(now().events.emplace_back(new Event).get()), CUDA_SUCCESS;
}
CUresult destroy_event(CUevent) { return CUDA_SUCCESS; }
CUresult record(CUevent event, CUstream stream) {
  if (is_second(stream)) return now().copies.emplace_back([] {}, event), CUDA_SUCCESS;
  now().push([event] { reinterpret_cast<Event*>(event)->at = std::chrono::steady_clock::now(); });
  return CUDA_SUCCESS;
}
CUresult let_wait(CUstream stream, CUevent event, unsigned flags) {
  require(!is_second(stream) && flags == 0, "a wait of the second stream");
  StandInState& s = now();
  s.push([&s, event] {
    for (bool done = false; !done && !s.copies.empty(); s.copies.pop_front()) {
      s.copies.front().first();
      done = s.copies.front().second == event;
    }
  });
  return CUDA_SUCCESS;
}
CUresult is_event_done(CUevent) { return is_stream_done(nullptr); }
CUresult wait_for(CUevent) { return now().finish(), CUDA_SUCCESS; }
CUresult elapsed(float* milliseconds, CUevent first, CUevent last) {
  const auto at = [](CUevent event) { return reinterpret_cast<Event*>(event)->at; };
  *milliseconds = std::chrono::duration<float, std::milli>(at(last) - at(first)).count();
  return CUDA_SUCCESS;
}

// An image is the length of a shared object and the object itself.
CUresult load_module(CUmodule* module, const void* image) {
  Module* const loaded = now().modules.emplace_back(new Module).get();
  *module = reinterpret_cast<CUmodule>(loaded);
  if (now().only_collect) return CUDA_SUCCESS;
  std::uint64_t bytes = 0;
  std::memcpy(&bytes, image, sizeof bytes);
  // A name of its own: dlopen takes a second file of a name for the first.
  static std::atomic<int> count = 0;
  const std::string path =
      (fs::temp_directory_path() / fmt::format("gan-kernels-{}-{}.so", getpid(), ++count)).string();
  base::write_file(path, {static_cast<const char*>(image) + sizeof bytes, bytes}, base::Durability::unsynced);
  loaded->library = dlopen(path.c_str(), RTLD_NOW | RTLD_LOCAL);
  if (!loaded->library) misuse(dlerror());
  fs::remove(path);
  auto* const checks = static_cast<HostChecks*>(dlsym(loaded->library, "host_checks"));
  *checks = {now().memory, now().options.memory, now().written, fail_in_kernel};
  return CUDA_SUCCESS;
}
CUresult get_function(CUfunction* function, CUmodule module, const char* name) {
  auto made = std::make_unique<Function>();
  made->name = name;
  if (void* const library = reinterpret_cast<Module*>(module)->library) {
    const auto find = [&](const char* kind) { return dlsym(library, (kind + made->name).c_str()); };
    made->run = reinterpret_cast<decltype(made->run)>(find("run_"));
    if (!made->run) return CUDA_ERROR_NOT_FOUND;
    made->count = reinterpret_cast<unsigned (*)()>(find("count_"))();
  }
  *function = reinterpret_cast<CUfunction>(made.get());
  now().functions.push_back(std::move(made));
  return CUDA_SUCCESS;
}
CUresult launch(CUfunction function, unsigned x, unsigned y, unsigned z, unsigned threads, unsigned threads_y,
                unsigned threads_z, unsigned shared, CUstream, void** arguments, void** extra) {
  StandInState& s = now();
  const Function& kernel = *reinterpret_cast<Function*>(function);
  require(x >= 1 && y >= 1 && z == 1 && x <= 0x7FFFFFFF && y <= 65535, "a grid that no GPU takes");
  require(threads >= 1 && threads <= 256 && threads_y == 1 && threads_z == 1, "a block of another size than expected");
  require(shared == 0 && extra == nullptr, "arguments of cuLaunchKernel that nobody needs");
  std::vector<CUdeviceptr> values;
  for (unsigned i = 0; i < kernel.count; ++i) {
    values.push_back(*static_cast<CUdeviceptr*>(arguments[i]));
    s.offset(values.back(), 1);
  }
  s.push([&s, &kernel, values, x, y, threads]() mutable {
    std::vector<void*> pointers;
    for (CUdeviceptr& value : values) pointers.push_back(&value);
    kernel.run(pointers.data(), x, y, threads, s.options.backwards);
  });
  return CUDA_SUCCESS;
}

// ---- NVRTC ----

nvrtcResult compiler_version(int* major, int* minor) {
  // Kernels of another header are other kernels.
  const std::string digest = base::sha256(base::read_file(std::string(GAN_CUDA_TESTS) + "/host_device.h"));
  *major = 0;
  *minor = static_cast<int>(std::stoul(digest.substr(0, 7), nullptr, 16));
  return NVRTC_SUCCESS;
}
const char* compiler_error(nvrtcResult) { return "an error of the stand-in"; }
nvrtcResult count_architectures(int* count) { return *count = 3, NVRTC_SUCCESS; }
nvrtcResult architectures(int* known) {
  for (const int capability : {75, 80, 90}) *known++ = capability;
  return NVRTC_SUCCESS;
}
nvrtcResult make_program(nvrtcProgram* program, const char* text, const char*, int, const char* const*,
                         const char* const*) {
  return *program = reinterpret_cast<nvrtcProgram>(new Source{text, "", ""}), NVRTC_SUCCESS;
}
nvrtcResult destroy_program(nvrtcProgram* program) { return delete reinterpret_cast<Source*>(*program), NVRTC_SUCCESS; }
nvrtcResult compile(nvrtcProgram program, int, const char* const*) {
  Source& source = *reinterpret_cast<Source*>(program);
  StandInState& s = now();
  s.sources.push_back(source.text);
  ++s.compilations;
  if (s.only_collect) return NVRTC_SUCCESS;
  // Ranks compile the same sources at the same time.
  static std::mutex mutex;
  static std::map<std::string, std::string> images;
  const std::lock_guard lock(mutex);
  source.image = images[source.text];
  if (!source.image.empty()) return NVRTC_SUCCESS;
  const fs::path folder = fs::temp_directory_path() / fmt::format("gan-kernels-{}", getpid());
  fs::create_directories(folder);
  base::write_file((folder / "kernels.cpp").string(), source.text, base::Durability::unsynced);
  const std::string command = fmt::format(
      "{} -std=c++17 -O1 -w -fPIC -shared -ffp-contract=off -include '{}/host_device.h' -o '{}/kernels.so' "
      "'{}/kernels.cpp' 2> '{}/log'",
      GAN_CUDA_TEST_COMPILER, GAN_CUDA_TESTS, folder.string(), folder.string(), folder.string());
  const bool compiled = std::system(command.c_str()) == 0;
  if (compiled) {
    const std::string object = base::read_file((folder / "kernels.so").string());
    const std::uint64_t bytes = object.size();
    source.image = images[source.text] = std::string(reinterpret_cast<const char*>(&bytes), sizeof bytes) + object;
  } else {
    source.log = base::read_file((folder / "log").string());
  }
  fs::remove_all(folder);
  return compiled ? NVRTC_SUCCESS : NVRTC_ERROR_COMPILATION;
}
nvrtcResult log_size(nvrtcProgram program, std::size_t* size) {
  return *size = reinterpret_cast<Source*>(program)->log.size() + 1, NVRTC_SUCCESS;
}
nvrtcResult log(nvrtcProgram program, char* text) {
  return std::strcpy(text, reinterpret_cast<Source*>(program)->log.c_str()), NVRTC_SUCCESS;
}
nvrtcResult image_size(nvrtcProgram program, std::size_t* size) {
  return *size = reinterpret_cast<Source*>(program)->image.size(), NVRTC_SUCCESS;
}
nvrtcResult image(nvrtcProgram program, char* to) {
  const std::string& from = reinterpret_cast<Source*>(program)->image;
  return std::copy(from.begin(), from.end(), to), NVRTC_SUCCESS;
}

// ---- cuBLASLt ----

std::size_t blas_version() { return 130000; }
cublasStatus_t make_blas(cublasLtHandle_t* handle) {
  return *handle = reinterpret_cast<cublasLtHandle_t>(&now()), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t make_operation(cublasLtMatmulDesc_t* made, cublasComputeType_t compute, cudaDataType_t scale) {
  require(compute == CUBLAS_COMPUTE_32F && scale == CUDA_R_32F, "products are computed in f32");
  return *made = reinterpret_cast<cublasLtMatmulDesc_t>(new Operation), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_operation(cublasLtMatmulDesc_t operation) {
  return delete reinterpret_cast<Operation*>(operation), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_operation(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute,
                             const void* value, std::size_t bytes) {
  auto& to = *reinterpret_cast<Operation*>(operation);
  if (attribute == CUBLASLT_MATMUL_DESC_BIAS_POINTER) {
    require(bytes == sizeof to.bias, "an attribute of another size");
    return std::memcpy(&to.bias, value, bytes), CUBLAS_STATUS_SUCCESS;
  }
  std::int32_t chosen = 0;
  require(bytes == sizeof chosen, "an attribute of another size");
  std::memcpy(&chosen, value, bytes);
  if (attribute == CUBLASLT_MATMUL_DESC_EPILOGUE) {
    require(chosen == CUBLASLT_EPILOGUE_BIAS, "another epilogue");
    return to.adds_bias = true, CUBLAS_STATUS_SUCCESS;
  }
  (attribute == CUBLASLT_MATMUL_DESC_TRANSA ? to.transpose_a : to.transpose_b) = chosen == CUBLAS_OP_T;
  return CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t make_layout(cublasLtMatrixLayout_t* made, cudaDataType_t type, std::uint64_t rows, std::uint64_t columns,
                           std::int64_t stride) {
  require(stride == static_cast<std::int64_t>(rows), "a matrix that is not dense");
  return *made = reinterpret_cast<cublasLtMatrixLayout_t>(new Layout{type, rows, columns, stride}),
         CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_layout(cublasLtMatrixLayout_t layout) {
  return delete reinterpret_cast<Layout*>(layout), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t make_preference(cublasLtMatmulPreference_t* made) {
  return *made = reinterpret_cast<cublasLtMatmulPreference_t>(new Preference), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t destroy_preference(cublasLtMatmulPreference_t preference) {
  return delete reinterpret_cast<Preference*>(preference), CUBLAS_STATUS_SUCCESS;
}
cublasStatus_t set_preference(cublasLtMatmulPreference_t preference, cublasLtMatmulPreferenceAttributes_t attribute,
                              const void* value, std::size_t bytes) {
  auto& to = *reinterpret_cast<Preference*>(preference);
  if (attribute == CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES) {
    require(bytes == sizeof to.workspace, "an attribute of another size");
    std::memcpy(&to.workspace, value, bytes);
  } else if (attribute == CUBLASLT_MATMUL_PREF_REDUCTION_SCHEME_MASK) {
    std::uint32_t schemes = 0;
    require(bytes == sizeof schemes, "an attribute of another size");
    std::memcpy(&schemes, value, bytes);
    require(schemes == CUBLASLT_REDUCTION_SCHEME_COMPUTE_TYPE, "sums that are not in f32");
  } else {
    require(attribute >= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES &&
                attribute <= CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_D_BYTES,
            "an attribute that the stand-in does not know");
    require(bytes == sizeof to.alignment[0], "an attribute of another size");
    std::memcpy(&to.alignment[attribute - CUBLASLT_MATMUL_PREF_MIN_ALIGNMENT_A_BYTES], value, bytes);
  }
  return CUBLAS_STATUS_SUCCESS;
}

/// Rows, columns and depth of the column-major result of op(A) op(B), whose layouts must fit.
Algorithm shape_of(const Operation& operation, const Layout& a, const Layout& b, const Layout& c) {
  const auto dims = [](const Layout& layout, bool transposed) {
    return transposed ? std::pair(layout.columns, layout.rows) : std::pair(layout.rows, layout.columns);
  };
  const auto [rows, depth] = dims(a, operation.transpose_a);
  const auto [same_depth, columns] = dims(b, operation.transpose_b);
  require(depth == same_depth && c.rows == rows && c.columns == columns, "matrices that do not fit");
  require(a.type == b.type && (a.type == CUDA_R_32F || a.type == CUDA_R_16BF) &&
              (c.type == CUDA_R_32F || c.type == CUDA_R_16BF),
          "types that products do not have");
  return {0, rows, columns, depth, {}};
}
cublasStatus_t heuristic(cublasLtHandle_t, cublasLtMatmulDesc_t operation, cublasLtMatrixLayout_t a,
                         cublasLtMatrixLayout_t b, cublasLtMatrixLayout_t c, cublasLtMatrixLayout_t d,
                         cublasLtMatmulPreference_t preference, int wanted, cublasLtMatmulHeuristicResult_t* results,
                         int* count) {
  require(c == d && wanted >= 1, "the result is added to itself");
  *count = 0;
  if (now().options.without_blas) return CUBLAS_STATUS_NOT_SUPPORTED;
  const auto& preferred = *reinterpret_cast<Preference*>(preference);
  Algorithm algorithm = shape_of(*reinterpret_cast<Operation*>(operation), *reinterpret_cast<Layout*>(a),
                                 *reinterpret_cast<Layout*>(b), *reinterpret_cast<Layout*>(c));
  // Some need a workspace, which then must not be used by two at once.
  algorithm.workspace = algorithm.depth > 64 ? std::min<std::uint64_t>(preferred.workspace, 4096) : 0;
  results[0].workspaceSize = algorithm.workspace;
  std::copy_n(preferred.alignment, 4, algorithm.alignment);
  std::memcpy(&results[0].algo, &algorithm, sizeof algorithm);
  *count = 1;
  return CUBLAS_STATUS_SUCCESS;
}

runtime::reference::Values load(const StandInState& s, std::size_t offset, const Layout& layout) {
  runtime::reference::Values values(layout.rows * layout.columns);
  const std::size_t size = layout.type == CUDA_R_16BF ? 2 : 4;
  s.require_written(offset, values.size() * size, "a product of what nobody wrote");
  for (std::size_t i = 0; i < values.size(); ++i) {
    if (size == 2) {
      std::uint16_t bits;
      std::memcpy(&bits, s.memory + offset + 2 * i, 2);
      values[i] = static_cast<double>(base::from_bf16(bits));
    } else {
      float value;
      std::memcpy(&value, s.memory + offset + 4 * i, 4);
      values[i] = static_cast<double>(value);
    }
  }
  return values;
}

cublasStatus_t multiply(cublasLtHandle_t, cublasLtMatmulDesc_t operation, const void* alpha, const void* a,
                        cublasLtMatrixLayout_t a_layout, const void* b, cublasLtMatrixLayout_t b_layout,
                        const void* beta, const void* c, cublasLtMatrixLayout_t, void* d, cublasLtMatrixLayout_t layout,
                        const cublasLtMatmulAlgo_t* chosen, void* workspace, std::size_t bytes, cudaStream_t) {
  StandInState& s = now();
  const Operation op = *reinterpret_cast<Operation*>(operation);
  const Layout left = *reinterpret_cast<Layout*>(a_layout), right = *reinterpret_cast<Layout*>(b_layout);
  const Layout result = *reinterpret_cast<Layout*>(layout);
  Algorithm algorithm = shape_of(op, left, right, result);
  Algorithm promised{};
  std::memcpy(&promised, chosen, sizeof promised);
  require(promised.rows == algorithm.rows && promised.columns == algorithm.columns && promised.depth == algorithm.depth,
          "an algorithm for another product");
  require(bytes >= promised.workspace && c == d, "less workspace than was promised");
  const void* const operands[] = {a, b, c, d};
  for (int i = 0; i < 4; ++i)
    require(reinterpret_cast<std::uintptr_t>(operands[i]) % promised.alignment[i] == 0,
            "less alignment than was promised");
  const auto offset = [&](const void* at, const Layout& of) {
    return s.offset(reinterpret_cast<CUdeviceptr>(at), of.rows * of.columns * (of.type == CUDA_R_16BF ? 2 : 4));
  };
  const std::size_t scratch = bytes > 0 ? s.offset(reinterpret_cast<CUdeviceptr>(workspace), bytes) : 0;
  float factor, kept;
  std::memcpy(&factor, alpha, sizeof factor);
  std::memcpy(&kept, beta, sizeof kept);
  require(factor == 1, "a product with a factor");
  // The transpose of a column-major matrix is row-major: d^T = op(b)^T op(a)^T.
  const graph::Matmul spec{static_cast<std::int64_t>(algorithm.columns), static_cast<std::int64_t>(algorithm.rows),
                           static_cast<std::int64_t>(algorithm.depth), op.transpose_b, op.transpose_a};
  require(op.adds_bias == (op.bias != 0), "a bias without its epilogue");
  if (op.adds_bias) ++s.biases;
  const std::size_t bias_bytes = op.adds_bias ? 4 * algorithm.rows : 0;
  s.push([&s, spec, kept, left, right, result, scratch, bytes, bias_bytes, a = offset(a, left), b = offset(b, right),
          d = offset(d, result), bias = op.adds_bias ? s.offset(op.bias, bias_bytes) : 0] {
    const runtime::reference::Values in[] = {load(s, b, right), load(s, a, left)};
    const runtime::reference::Values out = runtime::reference::evaluate(spec, in);
    const std::size_t size = result.type == CUDA_R_16BF ? 2 : 4;
    if (bytes > 0) std::memset(s.memory + scratch, 0xFF, bytes);
    if (kept != 0) s.require_written(d, size * out.size(), "a product added to what nobody wrote");
    require(kept == 0 || size == 4, "a product added to bf16");
    if (bias_bytes > 0) s.require_written(bias, bias_bytes, "a bias that nobody wrote");
    for (std::size_t i = 0; i < out.size(); ++i) {
      float before = 0;
      if (kept != 0) std::memcpy(&before, s.memory + d + 4 * i, 4);
      float value = static_cast<float>(out[i]) + kept * before, added = 0;
      if (bias_bytes > 0) std::memcpy(&added, s.memory + bias + 4 * i % bias_bytes, 4);
      value += added;
      const std::uint16_t bits = base::to_bf16(value);
      std::memcpy(s.memory + d + size * i, size == 2 ? static_cast<const void*>(&bits) : &value, size);
    }
    s.mark(d, size * out.size());
  });
  return CUBLAS_STATUS_SUCCESS;
}

// ---- NCCL ----

#ifdef GAN_NCCL

/// Stand-ins that add up together.
struct Group {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<StandInState*> devices;       // by rank
  std::vector<std::vector<float>> brought;  // by rank, for the sum that comes next
  std::vector<float> sum;
  std::size_t joined = 0, here = 0, elements = 0;
  int sums = 0;
  bool is_left = false, is_same = true;  // a rank has left; all ranks brought as many elements

  void wait(std::unique_lock<std::mutex>& lock, const std::function<bool()>& condition) {
    require(changed.wait_for(lock, std::chrono::seconds(60), condition), "a rank that other ranks wait for");
  }
  std::vector<float> add_up(std::size_t rank, std::vector<float> values) {
    std::unique_lock lock(mutex);
    if (is_left) throw Endless();
    if (here == 0) elements = values.size();
    is_same = is_same && values.size() == elements;
    brought[rank] = std::move(values);
    const int before = sums;
    if (++here == devices.size()) {
      if (is_same) sum = brought[0];
      for (std::size_t other = 1; other < devices.size() && is_same; ++other)
        for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += brought[other][i];
      here = 0;
      ++sums;
      changed.notify_all();
    }
    wait(lock, [&] { return sums > before || is_left; });
    if (sums == before) throw Endless();
    require(is_same, "a sum of other sizes on other ranks");
    return sum;
  }
};
struct Member {
  std::shared_ptr<Group> group;
  std::size_t rank;
  StandInState* device;
  std::atomic<bool> has_left = false;
};
std::shared_ptr<Member>& member_of(ncclComm_t communicator) {
  require(communicator != nullptr, "a rank that has not joined");
  return *reinterpret_cast<std::shared_ptr<Member>*>(communicator);
}
thread_local std::string nccl_text;

ncclResult_t make_id(ncclUniqueId* id) {
  static std::atomic<int> count = 0;
  const int number = ++count;
  *id = {};
  return std::memcpy(id->internal, &number, sizeof number), ncclSuccess;
}
ncclResult_t join(ncclComm_t* communicator, int ranks, ncclUniqueId id, int rank) {
  static std::mutex mutex;
  static std::map<std::string, std::shared_ptr<Group>> groups;
  require(!now().captured && rank >= 0 && rank < ranks, "a rank that cannot join");
  std::shared_ptr<Group> group;
  {
    const std::lock_guard lock(mutex);
    std::shared_ptr<Group>& known = groups[{id.internal, sizeof id.internal}];
    if (!known) known = std::make_shared<Group>();
    group = known;
  }
  std::unique_lock lock(group->mutex);
  const auto count = static_cast<std::size_t>(ranks), place = static_cast<std::size_t>(rank);
  group->devices.resize(count);
  group->brought.resize(count);
  require(!group->devices[place], "a rank that joins twice");
  group->devices[place] = &now();
  ++group->joined;
  group->changed.notify_all();
  group->wait(lock, [&] { return group->joined == count; });
  if (std::set(group->devices.begin(), group->devices.end()).size() < count) {
    nccl_text = "Duplicate GPU detected\nand more";
    return ncclInvalidUsage;
  }
  *communicator = reinterpret_cast<ncclComm_t>(new std::shared_ptr<Member>(new Member{group, place, &now()}));
  return ncclSuccess;
}
ncclResult_t leave(ncclComm_t communicator) {
  const std::shared_ptr<Member> member = member_of(communicator);
  delete &member_of(communicator);
  const std::lock_guard lock(member->group->mutex);
  member->has_left = member->group->is_left = true;
  return member->group->changed.notify_all(), ncclSuccess;
}
ncclResult_t asynchronous_error(ncclComm_t communicator, ncclResult_t* result) {
  Group& group = *member_of(communicator)->group;
  const std::lock_guard lock(group.mutex);
  return *result = group.is_left ? ncclRemoteError : ncclSuccess, ncclSuccess;
}
const char* nccl_error(ncclResult_t result) {
  return result == ncclRemoteError ? "remote process exited or there was a network error" : "invalid usage";
}
const char* last_nccl_error(ncclComm_t) { return nccl_text.c_str(); }
ncclResult_t add_over_ranks(const void* from, void* to, std::size_t count, ncclDataType_t type, ncclRedOp_t op,
                            ncclComm_t communicator, cudaStream_t stream) {
  StandInState& s = now();
  const std::shared_ptr<Member> member = member_of(communicator);
  require(member->device == &s && stream == reinterpret_cast<CUstream>(&s), "another rank's stream");
  require(from == to && type == ncclFloat32 && op == ncclSum, "a sum that nobody needs");
  s.push([&s, member, count, in_graph = s.captured != nullptr,
          offset = s.offset(reinterpret_cast<CUdeviceptr>(to), 4 * count)] {
    if (member->has_left) return;
    s.require_written(offset, 4 * count, "a sum over ranks of what nobody wrote");
    std::vector<float> values(count);
    std::memcpy(values.data(), s.memory + offset, 4 * count);
    values = member->group->add_up(member->rank, std::move(values));
    std::memcpy(s.memory + offset, values.data(), 4 * count);
    ++(in_graph ? s.sums_in_graphs : s.sums);
  });
  return ncclSuccess;
}

const runtime::cuda::NcclFunctions& nccl() {
  static const runtime::cuda::NcclFunctions functions{
      make_id, join, leave, asynchronous_error, nccl_error, last_nccl_error, add_over_ranks};
  return functions;
}

#else

const runtime::cuda::NcclFunctions& nccl() { return runtime::cuda::load_nccl(); }

#endif

const runtime::cuda::NcclFunctions& no_nccl() {
  static const runtime::cuda::NcclFunctions functions = runtime::cuda::open_nccl("libnccl.so.none");
  return functions;
}

runtime::cuda::Functions table(const StandInOptions& options) {
  runtime::cuda::Functions f;
  f.nccl = options.without_nccl ? no_nccl : nccl;
  f.cuInit = init;
  f.cuDriverGetVersion = driver_version;
  f.cuDeviceGetCount = device_count;
  f.cuDeviceGet = get_device;
  f.cuDeviceGetName = device_name;
  f.cuDeviceGetAttribute = attribute;
  f.cuDevicePrimaryCtxRetain = retain;
  f.cuCtxSetCurrent = set_current;
  f.cuGetErrorName = error_name;
  f.cuGetErrorString = error_text;
  f.cuMemGetInfo = memory_info;
  f.cuMemAlloc = allocate;
  f.cuMemFree = release;
  f.cuMemAllocHost = allocate_pinned;
  f.cuMemcpyHtoDAsync = to_device;
  f.cuMemcpyDtoHAsync = to_host;
  f.cuMemcpyDtoDAsync = within_device;
  f.cuMemsetD8Async = set_bytes;
  f.cuStreamCreate = make_stream;
  f.cuStreamSynchronize = wait;
  f.cuStreamQuery = is_stream_done;
  f.cuStreamBeginCapture = begin_capture;
  f.cuStreamEndCapture = end_capture;
  f.cuStreamGetCaptureInfo_v2 = capture_info;
  f.cuStreamUpdateCaptureDependencies = set_dependencies;
  f.cuGraphInstantiateWithFlags = instantiate;
  f.cuGraphLaunch = launch_graph;
  f.cuGraphExecDestroy = destroy_exec;
  f.cuGraphDestroy = destroy_graph;
  f.cuModuleLoadData = load_module;
  f.cuModuleGetFunction = get_function;
  f.cuLaunchKernel = launch;
  f.cuEventCreate = make_event;
  f.cuEventDestroy = destroy_event;
  f.cuStreamWaitEvent = let_wait;
  f.cuEventRecord = record;
  f.cuEventSynchronize = wait_for;
  f.cuEventQuery = is_event_done;
  f.cuEventElapsedTime = elapsed;
  f.nvrtcVersion = compiler_version;
  f.nvrtcGetErrorString = compiler_error;
  f.nvrtcGetNumSupportedArchs = count_architectures;
  f.nvrtcGetSupportedArchs = architectures;
  f.nvrtcCreateProgram = make_program;
  f.nvrtcDestroyProgram = destroy_program;
  f.nvrtcCompileProgram = compile;
  f.nvrtcGetProgramLogSize = log_size;
  f.nvrtcGetProgramLog = log;
  f.nvrtcGetCUBINSize = f.nvrtcGetPTXSize = image_size;
  f.nvrtcGetCUBIN = f.nvrtcGetPTX = image;
  f.cublasLtGetVersion = blas_version;
  f.cublasLtCreate = make_blas;
  f.cublasLtMatmulDescCreate = make_operation;
  f.cublasLtMatmulDescDestroy = destroy_operation;
  f.cublasLtMatmulDescSetAttribute = set_operation;
  f.cublasLtMatrixLayoutCreate = make_layout;
  f.cublasLtMatrixLayoutDestroy = destroy_layout;
  f.cublasLtMatmulPreferenceCreate = make_preference;
  f.cublasLtMatmulPreferenceDestroy = destroy_preference;
  f.cublasLtMatmulPreferenceSetAttribute = set_preference;
  f.cublasLtMatmulAlgoGetHeuristic = heuristic;
  f.cublasLtMatmul = multiply;
  return f;
}

}  // namespace

StandIn::StandIn(const StandInOptions& options) : state_(std::make_unique<StandInState>()) {
  state_->options = options;
  state_->memory = static_cast<char*>(mapped(options.memory));
  state_->written = static_cast<unsigned char*>(mapped(options.memory / 2));
  state_->table = table(options);
}

StandIn::~StandIn() {
  munmap(state_->memory, state_->options.memory);
  munmap(state_->written, state_->options.memory / 2);
  if (latest == state_.get()) latest = nullptr;
  if (current == state_.get()) current = nullptr;
}

const runtime::cuda::Functions& StandIn::functions() const {
  latest = state_.get();
  return state_->table;
}
void StandIn::only_collect() { state_->only_collect = true; }
const std::vector<std::string>& StandIn::sources() const { return state_->sources; }
void StandIn::work() const { state_->finish(); }
int StandIn::captures() const { return state_->captures; }
int StandIn::launched_graphs() const { return state_->launched_graphs; }
std::size_t StandIn::reordered() const { return state_->reordered; }
int StandIn::compilations() const { return state_->compilations; }
int StandIn::copies_to_device() const { return state_->copies_to_device; }
std::size_t StandIn::bytes_in_use() const { return in_use(*state_); }
int StandIn::biases() const { return state_->biases; }
int StandIn::sums() const { return state_->sums; }
int StandIn::sums_in_graphs() const { return state_->sums_in_graphs; }
int StandIn::device() const { return state_->device; }

std::string stand_in_cache() { return GAN_CUDA_TEST_CACHE; }

runtime::Backend& stand_in_backend() {
  // Never destroyed: arrays of other static objects may lie in its memory.
  static auto& stand_in = *new StandIn();
  static auto& backend = *new std::shared_ptr(runtime::cuda::make_backend(stand_in.functions(), 0, stand_in_cache()));
  return *backend;
}

std::shared_ptr<runtime::Backend> make_stand_in_backend(runtime::Communicator& communicator) {
  struct Both {
    StandIn stand_in;
    std::shared_ptr<runtime::Backend> backend;
  };
  const auto both = std::make_shared<Both>();
  both->backend = runtime::cuda::make_backend(both->stand_in.functions(), std::nullopt, stand_in_cache(), communicator);
  return {both, both->backend.get()};
}

}  // namespace gan::test
