#include "runtime/devices.h"

#include <map>
#include <memory>
#include <optional>
#include <tuple>
#include <utility>

#include "base/error.h"
#include "base/text.h"
#ifdef GAN_CUDA
#include "runtime/cuda/backend.h"
#endif

namespace gan::runtime {

namespace {

constexpr std::string_view kCuda = "cuda";

/// The number of "cuda:N".
std::optional<int> number_of(const std::string& device) {
  if (!device.starts_with(std::string(kCuda) + ":")) return std::nullopt;
  const std::optional<int> number = base::parse_number<int>(device.substr(kCuda.size() + 1));
  return number && *number >= 0 ? number : std::nullopt;
}

/// The backend of a GPU, by its number or, without, by that of the rank. Throws a run error that names what is missing.
const Backend& gpu([[maybe_unused]] std::optional<int> number, [[maybe_unused]] const std::string& cache,
                   [[maybe_unused]] Communicator& ranks, [[maybe_unused]] const std::set<std::string>& disabled) {
#ifdef GAN_CUDA
  // Never destroyed: when the program ends, the driver may be gone before arrays are freed.
  using Key = std::tuple<std::optional<int>, std::string, Communicator*, std::set<std::string>>;
  static auto& backends = *new std::map<Key, std::shared_ptr<Backend>>();
  if (!number && ranks.ranks() == 1) number = 0;
  std::shared_ptr<Backend>& backend = backends[{number, cache, &ranks, disabled}];
  if (!backend) backend = cuda::make_backend(cuda::load_functions(), number, cache, ranks, disabled);
  return *backend;
#else
  base::fail_run("this gan was built without CUDA; build it with -DGAN_CUDA=ON where NVIDIA's headers are");
#endif
}

}  // namespace

bool is_device(const std::string& device) {
  return device == "auto" || device == "cpu" || device == kCuda || number_of(device);
}

const Backend* choose_device(const std::string& device, const std::string& cache, Communicator& ranks,
                             const std::set<std::string>& disabled) {
  if (device == "cpu" || device == "auto") return nullptr;
  const std::optional<int> number = number_of(device);
  if (!number && device != kCuda)
    base::fail_usage("device {}: auto, cpu, cuda and cuda:N, such as cuda:1, are known", device);
  if (number && ranks.ranks_here() > 1)
    base::fail_usage("--device {}: there are {} processes on this machine; --device cuda gives each a GPU", device,
                     ranks.ranks_here());
  try {
    return &gpu(number, cache, ranks, disabled);
  } catch (const base::Error& error) {
    base::fail_run("--device {}: {}", device, error.what());
  }
}

std::string describe_gpu() {
  const Backend& backend = gpu(std::nullopt, "", one_rank(), {});
  return backend.describe() + ", " + backend.versions();
}

}  // namespace gan::runtime
