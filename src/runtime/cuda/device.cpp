#include "runtime/cuda/device.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <set>
#include <utility>

#include "base/error.h"
#include "base/file.h"
#include "base/sha256.h"
#include "runtime/out_of_memory.h"

namespace gan::runtime::cuda {

namespace fs = std::filesystem;

namespace {

constexpr int kLeastCapability = 75;
constexpr std::size_t kSha256Digits = 64;  // of the SHA-256 in front of a file of the cache

Address address(const std::byte* at) { return reinterpret_cast<Address>(at); }

}  // namespace

Device::Device(const Functions& functions, std::optional<int> wanted, std::string cache, Communicator& communicator)
    : functions_(functions), cache_(std::move(cache)), communicator_(communicator) {
  const Functions& f = functions;
  check(f.cuInit(0), "cuInit");
  int count = 0;
  check(f.cuDeviceGetCount(&count), "cuDeviceGetCount");
  const int number = wanted ? *wanted : communicator.rank_here() % std::max(count, 1);
  if (number < 0 || number >= count)
    base::fail_run("there is no GPU {}: the driver shows {}", number, count == 0 ? "none" : std::to_string(count));
  CUdevice device = 0;
  check(f.cuDeviceGet(&device, number), "cuDeviceGet");
  char name[256] = {};
  check(f.cuDeviceGetName(name, sizeof name - 1, device), "cuDeviceGetName");
  name_ = name;
  int major = 0, minor = 0, driver = 0, nvrtc_major = 0, nvrtc_minor = 0;
  check(f.cuDeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device), "cuDeviceGetAttribute");
  check(f.cuDeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device), "cuDeviceGetAttribute");
  capability_ = 10 * major + minor;
  if (capability_ < kLeastCapability)
    base::fail_run("{} has compute capability {}.{}; 7.5 or more is needed", name_, major, minor);
  check(f.cuDriverGetVersion(&driver), "cuDriverGetVersion");
  f.nvrtcVersion(&nvrtc_major, &nvrtc_minor);
  versions_ = fmt::format("driver {}, NVRTC {}.{}, sm_{}, cuBLASLt {}", driver, nvrtc_major, nvrtc_minor, capability_,
                          f.cublasLtGetVersion());
  check(f.cuDevicePrimaryCtxRetain(&context_, device), "cuDevicePrimaryCtxRetain");
  const auto held = lock();
  for (CUstream* stream : {&stream_, &copies_})
    check(f.cuStreamCreate(stream, CU_STREAM_NON_BLOCKING), "cuStreamCreate");
  std::size_t free = 0;
  check(f.cuMemGetInfo(&free, &total_bytes_), "cuMemGetInfo");
  blas_workspace_ = allocate(Blas::kWorkspace);
  blas_.emplace(functions, stream_, address(blas_workspace_.get()));
}

std::unique_lock<std::recursive_mutex> Device::lock() {
  std::unique_lock held(mutex_);
  check(functions_.cuCtxSetCurrent(context_), "cuCtxSetCurrent");
  return held;
}

void Device::wait() {
  watch_ranks();
  check(functions_.cuStreamSynchronize(stream_), "waiting for the GPU");
}

void Device::end_run() {
  CUevent& end = runs_[next_run_++ % kRunsAhead];
  if (end) {
    watch_ranks(end);
    check(functions_.cuEventSynchronize(end), "waiting for the GPU");
  } else {
    check(functions_.cuEventCreate(&end, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
  }
  check(functions_.cuEventRecord(end, stream_), "cuEventRecord");
}

void Device::watch_ranks(CUevent event) {
  const auto query = [&] { return event ? functions_.cuEventQuery(event) : functions_.cuStreamQuery(stream_); };
  while (nccl_ && query() == CUDA_ERROR_NOT_READY) nccl_->require_ranks();
}

std::shared_ptr<std::byte> Device::allocate(std::size_t bytes) {
  const auto held = lock();
  CUdeviceptr at = 0;
  const std::size_t size = std::max<std::size_t>(bytes, 1);
  const CUresult result = functions_.cuMemAlloc(&at, size);
  if (result == CUDA_ERROR_OUT_OF_MEMORY) {
    std::size_t free = 0, total = 0;
    check(functions_.cuMemGetInfo(&free, &total), "cuMemGetInfo");
    throw OutOfMemory(name_, bytes, free, total);
  }
  check(result, "cuMemAlloc");
  std::shared_ptr<std::byte> owner(reinterpret_cast<std::byte*>(at), [this](std::byte* begin) {
    // Without a check: when the program ends, the driver may be gone.
    const std::lock_guard held(mutex_);
    functions_.cuCtxSetCurrent(context_);
    functions_.cuMemFree(address(begin));
  });
  check(functions_.cuMemsetD8Async(at, 0, size, stream_), "cuMemsetD8Async");
  return owner;
}

std::size_t Device::free_bytes() {
  const auto held = lock();
  std::size_t free = 0, total = 0;
  check(functions_.cuMemGetInfo(&free, &total), "cuMemGetInfo");
  return free;
}

void Device::read(const std::byte* from, void* to, std::size_t bytes) {
  if (bytes == 0) return;
  const auto held = lock();
  watch_ranks();  // the copy itself waits, as `to` is not pinned
  check(functions_.cuMemcpyDtoHAsync(to, address(from), bytes, stream_), "cuMemcpyDtoHAsync");
  wait();
}

Device::Slot& Device::free_slot() {
  for (Slot& slot : slots_) {
    if (slot.turn > 0 && functions_.cuEventQuery(slot.taken) != CUDA_SUCCESS) continue;
    if (slot.pinned) return slot;
    for (CUevent* event : {&slot.brought, &slot.taken})
      if (!*event) check(functions_.cuEventCreate(event, CU_EVENT_DISABLE_TIMING), "cuEventCreate");
    check(functions_.cuMemAllocHost(&slot.pinned, kSlotBytes), "cuMemAllocHost");
    return slot;
  }
  Slot& oldest = *std::ranges::min_element(slots_, {}, &Slot::turn);
  watch_ranks(oldest.taken);
  check(functions_.cuEventSynchronize(oldest.taken), "waiting for the GPU");
  return oldest;
}

void Device::write(const void* from, std::byte* to, std::size_t bytes) {
  const auto held = lock();
  for (std::size_t done = 0; done < bytes;) {
    Slot& slot = free_slot();
    slot.turn = ++turns_;
    const std::size_t part = std::min(bytes - done, kSlotBytes);
    std::memcpy(slot.pinned, static_cast<const std::byte*>(from) + done, part);
    if (bytes < kLarge || (slot.staged == 0 && functions_.cuMemAlloc(&slot.staged, kSlotBytes) != CUDA_SUCCESS)) {
      check(functions_.cuMemcpyHtoDAsync(address(to) + done, slot.pinned, part, stream_), "cuMemcpyHtoDAsync");
    } else {
      check(functions_.cuMemcpyHtoDAsync(slot.staged, slot.pinned, part, copies_), "cuMemcpyHtoDAsync");
      check(functions_.cuEventRecord(slot.brought, copies_), "cuEventRecord");
      check(functions_.cuStreamWaitEvent(stream_, slot.brought, 0), "cuStreamWaitEvent");
      check(functions_.cuMemcpyDtoDAsync(address(to) + done, slot.staged, part, stream_), "cuMemcpyDtoDAsync");
    }
    check(functions_.cuEventRecord(slot.taken, stream_), "cuEventRecord");
    done += part;
  }
}

Device::Task Device::task(const SourceKernel& kernel) {
  const auto run = [this, kernel] {
    std::vector<Address> arguments = kernel.arguments;
    std::vector<void*> pointers;
    for (Address& argument : arguments) pointers.push_back(&argument);
    check(functions_.cuLaunchKernel(loaded_.at(kernel.name), kernel.grid_x, kernel.grid_y, 1, kernel.threads, 1, 1, 0,
                                    stream_, pointers.data(), nullptr),
          "cuLaunchKernel");
  };
  return {run, kernel.touched};
}

std::optional<Device::Task> Device::task(const Product& product) {
  const auto held = lock();
  const std::shared_ptr<const Blas::Prepared> prepared = blas_->prepare(product);
  if (!prepared) return std::nullopt;
  return Task{[this, prepared] { blas_->launch(*prepared); }, blas_->touched(*prepared)};
}

Device::Task Device::copy_task(const std::byte* from, std::byte* to, std::size_t bytes) {
  const auto run = [this, from = address(from), to = address(to), bytes] {
    check(functions_.cuMemcpyDtoDAsync(to, from, bytes, stream_), "cuMemcpyDtoDAsync");
  };
  return {run, {{{address(from), address(from) + bytes}}, {{address(to), address(to) + bytes}}}};
}

Device::Task Device::sum_task(std::byte* values, std::size_t count) {
  const auto held = lock();
  if (!nccl_) nccl_.emplace(functions_, stream_, communicator_);
  const Address at = address(values);
  const Range summed{at, at + 4 * count};
  return {[this, at, count] { nccl_->all_reduce(at, count); }, {{summed}, {summed, Nccl::kOrder}}};
}

void Device::load(const std::vector<SourceKernel>& kernels) {
  const auto held = lock();
  std::set<std::string> added;
  std::string source(prelude());
  for (const SourceKernel& kernel : kernels)
    if (!loaded_.count(kernel.name) && added.insert(kernel.name).second) source += kernel.text;
  if (added.empty()) return;
  const CUmodule module = load_module(source);
  for (const std::string& name : added) {
    CUfunction function = nullptr;
    check(functions_.cuModuleGetFunction(&function, module, name.c_str()), "cuModuleGetFunction");
    loaded_[name] = function;
  }
}

/// The module of a source: from the cache if it is there and whole, else compiled and put there.
CUmodule Device::load_module(const std::string& source) {
  CUmodule module = nullptr;
  const fs::path folder = fs::path(cache_) / "kernels";
  const std::string path = (folder / (base::sha256(versions_ + source) + ".bin")).string();
  std::error_code error;
  if (!cache_.empty() && fs::exists(path, error)) {
    try {
      const std::string file = base::read_file(path), image = file.substr(std::min(kSha256Digits, file.size()));
      if (file.substr(0, kSha256Digits) == base::sha256(image) &&
          functions_.cuModuleLoadData(&module, image.c_str()) == CUDA_SUCCESS)
        return module;
    } catch (const base::Error&) {
      // A file that cannot be read is made again.
    }
  }
  const Binary binary = compile(functions_, source, capability_);
  check(functions_.cuModuleLoadData(&module, binary.image.c_str()), "cuModuleLoadData");
  if (cache_.empty()) return module;
  try {
    base::create_folder(folder.string());
    base::write_file(path, base::sha256(binary.image) + binary.image, base::Durability::unsynced);
  } catch (const base::Error&) {
    // Without a cache the next start takes longer, that is all.
  }
  return module;
}

}  // namespace gan::runtime::cuda
