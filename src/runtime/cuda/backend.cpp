#include "runtime/cuda/backend.h"

#include <chrono>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/cuda/device.h"
#include "runtime/cuda/source.h"
#include "runtime/profile.h"

namespace gan::runtime::cuda {

namespace {

/// What finish() needs of a kernel: sources that must be loaded before it can run.
using Sources = std::vector<SourceKernel>;

/// Kernels on a device's stream. The first run puts them there one by one; then they are captured as a graph, which
/// the driver starts at once. run() returns before they are done: whoever reads results waits.
class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> device, std::vector<Kernel> kernels)
      : Executable(std::move(kernels)), device_(std::move(device)) {}
  ~CudaExecutable() override {
    if (graph_) device_->functions().cuGraphExecDestroy(graph_);
  }
  CudaExecutable(const CudaExecutable&) = delete;
  CudaExecutable& operator=(const CudaExecutable&) = delete;

  void run(Profile* profile) override {
    if (kernels_.empty()) return;
    const auto held = device_->lock();
    if (profile) return run_timed(*profile);
    if (!std::exchange(started_, true)) {
      for (const Kernel& kernel : kernels_) kernel.run();
      return;
    }
    if (!graph_) capture();
    check(device_->functions().cuGraphLaunch(graph_, device_->stream()), "cuGraphLaunch");
  }

 private:
  void check(CUresult result, const char* what) const { cuda::check(device_->functions(), result, what); }

  void capture() {
    const Functions& f = device_->functions();
    CUgraph graph = nullptr;
    check(f.cuStreamBeginCapture(device_->stream(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL), "cuStreamBeginCapture");
    for (const Kernel& kernel : kernels_) kernel.run();
    check(f.cuStreamEndCapture(device_->stream(), &graph), "cuStreamEndCapture");
    check(f.cuGraphInstantiateWithFlags(&graph_, graph, 0), "cuGraphInstantiate");
    check(f.cuGraphDestroy(graph), "cuGraphDestroy");
  }

  /// Runs the kernels one by one between events of the device's clock.
  void run_timed(Profile& profile) {
    const Functions& f = device_->functions();
    while (events_.size() <= kernels_.size())
      check(f.cuEventCreate(&events_.emplace_back(), CU_EVENT_DEFAULT), "cuEventCreate");
    device_->wait();
    Profile::Clock::time_point start = Profile::Clock::now();
    check(f.cuEventRecord(events_[0], device_->stream()), "cuEventRecord");
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      kernels_[i].run();
      check(f.cuEventRecord(events_[i + 1], device_->stream()), "cuEventRecord");
    }
    device_->wait();
    for (std::size_t i = 0; i < kernels_.size(); ++i) {
      float milliseconds = 0;
      check(f.cuEventElapsedTime(&milliseconds, events_[i], events_[i + 1]), "cuEventElapsedTime");
      const auto end = start + std::chrono::duration_cast<Profile::Clock::duration>(
                                   std::chrono::duration<float, std::milli>(milliseconds));
      profile.record(i, kernels_[i], start, end);
      start = end;
    }
  }

  std::shared_ptr<Device> device_;
  bool started_ = false;
  CUgraphExec graph_ = nullptr;
  std::vector<CUevent> events_;
};

class CudaBackend : public Backend {
 public:
  explicit CudaBackend(std::shared_ptr<Device> device) : device_(std::move(device)) {}

  graph::Target target() const override { return cuda::target(); }
  bool has_bf16() const override { return device_->capability() >= 80; }
  bool has_fast_bf16() const override { return has_bf16(); }
  std::string describe() const override {
    return fmt::format("{} (compute capability {}.{})", device_->name(), device_->capability() / 10,
                       device_->capability() % 10);
  }
  std::string describe_precision() const override {
    return has_bf16() ? "bf16 matrix products with f32 sums, f32 for all else: this GPU multiplies bf16 in hardware "
                        "(--precision f32 for f32 throughout)"
                      : "f32: this GPU does not multiply bf16 in hardware";
  }
  Memory& memory() const override { return *device_; }

  std::size_t workspace(const Launch& launch) const override { return lower(launch).workspace; }

  Kernel kernel(const Launch& launch) const override {
    const auto sources = std::make_shared<Sources>();
    std::vector<Device::Task> tasks;
    for (const Work& work : lower(launch).work) tasks.push_back(task(work, *sources));
    Kernel kernel;
    kernel.run = [tasks = std::move(tasks)] {
      for (const Device::Task& task : tasks) task();
    };
    kernel.detail = sources;
    return kernel;
  }

  Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const override {
    Kernel kernel;
    kernel.run = device_->copy_task(from, to, bytes);
    return kernel;
  }

  std::unique_ptr<Executable> finish(std::vector<Kernel> kernels) const override {
    Sources sources;
    for (const Kernel& kernel : kernels)
      if (const auto own = std::static_pointer_cast<Sources>(kernel.detail))
        sources.insert(sources.end(), own->begin(), own->end());
    device_->load(sources);
    return std::make_unique<CudaExecutable>(device_, std::move(kernels));
  }

 private:
  Device::Task task(const Work& work, Sources& sources) const {
    if (const auto* product = std::get_if<Product>(&work)) {
      if (Device::Task task = device_->task(*product)) return task;
      sources.push_back(product_kernel(*product));
    } else {
      sources.push_back(std::get<SourceKernel>(work));
    }
    return device_->task(sources.back());
  }

  std::shared_ptr<Device> device_;
};

}  // namespace

graph::Target target() {
  graph::Target target;
  target.name = "cuda";
  // The chain that follows a product is a kernel of its own, which merges with what follows (docs/design/0019).
  target.longest_epilogue = 0;
  target.epilogue_ops.clear();
  target.chains_sum_rows = true;
  return target;
}

std::shared_ptr<Backend> make_backend(const Functions& functions, int number, const std::string& cache) {
  return std::make_shared<CudaBackend>(std::make_shared<Device>(functions, number, cache));
}

}  // namespace gan::runtime::cuda
