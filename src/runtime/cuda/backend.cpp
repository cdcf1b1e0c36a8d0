#include "runtime/cuda/backend.h"

#include <algorithm>
#include <chrono>
#include <numeric>
#include <set>
#include <utility>
#include <vector>

#include "base/error.h"
#include "runtime/cuda/device.h"
#include "runtime/cuda/source.h"
#include "runtime/profile.h"

namespace gan::runtime::cuda {

namespace {

constexpr std::size_t kPartUnfolded = 64;  // of the memory: what an unfolded batch may take, at most

/// What becomes of a launch: sources, which must be loaded before it can run, and what is put on the stream.
struct Detail {
  std::vector<SourceKernel> sources;
  std::vector<Device::Task> tasks;
};

Kernel kernel_of(std::shared_ptr<Detail> detail) {
  Kernel kernel;
  kernel.detail = detail;
  kernel.run = [detail = std::move(detail)] {
    for (const Device::Task& task : detail->tasks) task.run();
  };
  return kernel;
}

const Detail& detail_of(const Kernel& kernel) { return *static_cast<const Detail*>(kernel.detail.get()); }

/// Kernels on a device's stream. The first run puts them there one by one; then they are captured as a graph, in which
/// each waits only for those whose memory it uses, and which the driver starts at once. A driver that refuses that gets
/// a graph of kernels in a row, or else the kernels one by one. run() returns before they are done: whoever reads
/// results waits.
class CudaExecutable : public Executable {
 public:
  CudaExecutable(std::shared_ptr<Device> device, std::vector<Kernel> kernels)
      : Executable(std::move(kernels)), device_(std::move(device)) {}
  ~CudaExecutable() override {
    if (graph_) device_->functions().cuGraphExecDestroy(graph_);
    for (const CUevent event : events_) device_->functions().cuEventDestroy(event);
  }
  CudaExecutable(const CudaExecutable&) = delete;
  CudaExecutable& operator=(const CudaExecutable&) = delete;

  void run(Profile* profile) override {
    if (kernels_.empty()) return;
    const auto held = device_->lock();
    if (profile) return run_timed(*profile);
    // A driver that refused both captures is not asked again.
    for (const bool in_parallel : {true, false})
      if (started_ && !graph_ && !refused_) graph_ = captured(in_parallel);
    refused_ = started_ && !graph_;
    if (graph_)
      check(device_->functions().cuGraphLaunch(graph_, device_->stream()), "cuGraphLaunch");
    else
      for (const Kernel& kernel : kernels_) kernel.run();
    if (std::exchange(started_, true)) device_->end_run();
  }

  std::size_t launches() const override {
    if (!refused_) return 1;
    std::size_t tasks = 0;
    for (const Kernel& kernel : kernels_) tasks += detail_of(kernel).tasks.size();
    return tasks;
  }

 private:
  void check(CUresult result, const char* what) const { cuda::check(device_->functions(), result, what); }

  /// The kernels as a graph; null if the driver refuses.
  CUgraphExec captured(bool in_parallel) const {
    const Functions& f = device_->functions();
    if (in_parallel && !(f.cuStreamGetCaptureInfo_v2 && f.cuStreamUpdateCaptureDependencies)) return nullptr;
    CUgraph graph = nullptr;
    CUgraphExec made = nullptr;
    if (f.cuStreamBeginCapture(device_->stream(), CU_STREAM_CAPTURE_MODE_THREAD_LOCAL) != CUDA_SUCCESS) return nullptr;
    bool refused = false;
    try {
      put_tasks(in_parallel);
    } catch (const base::Error&) {
      refused = true;
    }
    // Also after an error: the stream would be captured for ever.
    refused = f.cuStreamEndCapture(device_->stream(), &graph) != CUDA_SUCCESS || refused;
    if (!refused && f.cuGraphInstantiateWithFlags(&made, graph, 0) != CUDA_SUCCESS) made = nullptr;
    if (graph) check(f.cuGraphDestroy(graph), "cuGraphDestroy");
    return made;
  }

  /// Puts the tasks on the stream, which is captured; in parallel each waits only for those that it depends on.
  void put_tasks(bool in_parallel) const {
    const Functions& f = device_->functions();
    std::vector<const Device::Task*> tasks;
    for (const Kernel& kernel : kernels_)
      for (const Device::Task& task : detail_of(kernel).tasks) tasks.push_back(&task);
    const std::vector<std::vector<std::size_t>> earlier = in_parallel ? dependencies(tasks) : decltype(earlier)();
    std::vector<std::vector<CUgraphNode>> last(tasks.size());  // of each task
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      if (!in_parallel) {
        tasks[i]->run();
        continue;
      }
      std::vector<CUgraphNode> nodes;
      for (const std::size_t j : earlier[i]) nodes.insert(nodes.end(), last[j].begin(), last[j].end());
      wait_in_capture(std::move(nodes));
      tasks[i]->run();
      CUstreamCaptureStatus status{};
      const CUgraphNode* now = nullptr;
      std::size_t count = 0;
      check(f.cuStreamGetCaptureInfo_v2(device_->stream(), &status, nullptr, nullptr, &now, &count),
            "cuStreamGetCaptureInfo");
      last[i].assign(now, now + count);
    }
    // NCCL may capture streams of its own, which must be joined when the capture ends.
    if (in_parallel) {
      std::set<CUgraphNode> ends;
      for (const std::vector<CUgraphNode>& nodes : last) ends.insert(nodes.begin(), nodes.end());
      wait_in_capture({ends.begin(), ends.end()});
    }
  }

  /// Makes what is captured next wait for these nodes.
  void wait_in_capture(std::vector<CUgraphNode> nodes) const {
    const std::size_t count = nodes.size();
    nodes.resize(std::max<std::size_t>(count, 1));  // no null pointer, also for none
    check(device_->functions().cuStreamUpdateCaptureDependencies(device_->stream(), nodes.data(), count,
                                                                 CU_STREAM_SET_CAPTURE_DEPENDENCIES),
          "cuStreamUpdateCaptureDependencies");
  }

  /// For each task the earlier ones that it must wait for, without those that another of them waits for.
  static std::vector<std::vector<std::size_t>> dependencies(const std::vector<const Device::Task*>& tasks) {
    std::vector<std::vector<std::size_t>> direct(tasks.size());
    std::vector<std::vector<bool>> all(tasks.size());
    for (std::size_t i = 0; i < tasks.size(); ++i) {
      all[i].assign(i, false);
      for (std::size_t j = i; j-- > 0;) {
        if (all[i][j] || !tasks[i]->touched.depends_on(tasks[j]->touched)) continue;
        direct[i].push_back(j);
        all[i][j] = true;
        for (std::size_t k = 0; k < j; ++k)
          if (all[j][k]) all[i][k] = true;
      }
    }
    return direct;
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
  bool started_ = false, refused_ = false;
  CUgraphExec graph_ = nullptr;
  std::vector<CUevent> events_;
};

class CudaBackend : public Backend {
 public:
  CudaBackend(std::shared_ptr<Device> device, bool own_products)
      : device_(std::move(device)), own_products_(own_products) {}

  graph::Target target() const override { return cuda::target(own_products_); }
  bool has_bf16() const override { return device_->capability() >= 80; }
  bool has_fast_bf16() const override { return has_bf16(); }
  std::string describe() const override {
    return fmt::format("{} (compute capability {}.{})", device_->name(), device_->capability() / 10,
                       device_->capability() % 10);
  }
  std::string versions() const override { return device_->versions(); }
  std::string describe_precision() const override {
    return has_bf16() ? "bf16 matrix products with f32 sums, f32 for all else: this GPU multiplies bf16 in hardware "
                        "(--precision f32 for f32 throughout)"
                      : "f32: this GPU does not multiply bf16 in hardware";
  }
  Memory& memory() const override { return *device_; }

  std::size_t workspace(const Launch& launch) const override { return lowered(launch).workspace; }

  Kernel kernel(const Launch& launch) const override {
    auto detail = std::make_shared<Detail>();
    for (const Work& work : lowered(launch).work) detail->tasks.push_back(task(work, detail->sources));
    const auto* sum = launch.spec ? std::get_if<graph::AllReduce>(&*launch.spec) : nullptr;
    if (sum && sum->exchange && device_->has_ranks())
      detail->tasks.push_back(device_->sum_task(
          launch.results[0], static_cast<std::size_t>(std::reduce(sum->counts.begin(), sum->counts.end()))));
    return kernel_of(std::move(detail));
  }

  Kernel copy(const std::byte* from, std::byte* to, std::size_t bytes) const override {
    auto detail = std::make_shared<Detail>();
    detail->tasks.push_back(device_->copy_task(from, to, bytes));
    return kernel_of(std::move(detail));
  }

  std::unique_ptr<Executable> finish(std::vector<Kernel> kernels) const override {
    std::vector<SourceKernel> sources;
    for (const Kernel& kernel : kernels)
      sources.insert(sources.end(), detail_of(kernel).sources.begin(), detail_of(kernel).sources.end());
    device_->load(sources);
    return std::make_unique<CudaExecutable>(device_, std::move(kernels));
  }

 private:
  Lowered lowered(const Launch& launch) const {
    return lower(launch, {.most_unfolded = device_->total_bytes() / kPartUnfolded, .own_products = own_products_});
  }

  Device::Task task(const Work& work, std::vector<SourceKernel>& sources) const {
    if (const auto* product = std::get_if<Product>(&work)) {
      if (std::optional<Device::Task> task; !own_products_ && (task = device_->task(*product))) return *std::move(task);
      sources.push_back(product_kernel(*product));
    } else {
      sources.push_back(std::get<SourceKernel>(work));
    }
    return device_->task(sources.back());
  }

  std::shared_ptr<Device> device_;
  bool own_products_;
};

}  // namespace

graph::Target target(bool own_products) {
  graph::Target target;
  target.name = "cuda";
  target.epilogue_wants_transposed_b = false;
  target.chains_sum_rows = true;
  if (own_products) return target;
  // Products round their result to bf16 or add a bias. Any other chain that follows one is a kernel of its own, which
  // merges with what follows (docs/design/0019).
  target.longest_epilogue = 2;
  target.epilogue_ops = {graph::ElementwiseOp::copy, graph::ElementwiseOp::add};
  target.epilogue_operands_are_rows = true;
  target.epilogues_of_groups = false;
  return target;
}

std::shared_ptr<Backend> make_backend(const Functions& functions, std::optional<int> number, const std::string& cache,
                                      Communicator& communicator, const std::set<std::string>& disabled) {
  return std::make_shared<CudaBackend>(std::make_shared<Device>(functions, number, cache, communicator),
                                       disabled.contains(kCublasLt));
}

}  // namespace gan::runtime::cuda
