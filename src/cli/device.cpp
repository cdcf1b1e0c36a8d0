#include "cli/device.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/timings.h"
#include "data/mnist.h"

namespace gan::cli {

std::string device_cache(const std::string& given) {
  try {
    return given.empty() ? data::default_cache() : given;
  } catch (const base::Error&) {
    return "";
  }
}

CLI::Option* add_device_option(CLI::App& app, std::string& device) {
  const auto check = [](const std::string& text) {
    return runtime::is_device(text) ? "" : "device " + text + ": auto, cpu, cuda and cuda:N, such as cuda:1, are known";
  };
  return app
      .add_option("--device", device,
                  "Compute on cpu, cuda or cuda:N (a GPU, docs/gpu.md); auto chooses, for training by what gan bench "
                  "step timed")
      ->type_name("DEVICE")
      ->check(check);
}

const runtime::Backend* use_device(const std::string& device, const std::string& cache, runtime::Communicator& ranks,
                                   const std::set<std::string>& disabled) {
  return runtime::choose_device(device, device_cache(cache), ranks, disabled).backend;
}

runtime::DeviceChoice choose_for_steps(double operations, const std::string& cache) {
  const std::string folder = device_cache(cache);
  const std::vector<Timing> timings = read_timings(folder, base::threads());
  const std::optional<double> here = estimate(timings, /*on_gpu=*/false, operations),
                              there = estimate(timings, /*on_gpu=*/true, operations);
  if (!here || !there) return {};
  const std::string reason = fmt::format(
      "a step is estimated at {:.3g} ms on the processor and {:.3g} ms on a GPU, by those that gan bench step timed",
      1e3 * *here, 1e3 * *there);
  if (*here <= *there) return {nullptr, "on the processor: " + reason};
  try {
    const runtime::DeviceChoice gpu = runtime::choose_device("cuda", folder);
    return {gpu.backend, "on " + gpu.backend->describe() + ": " + reason};
  } catch (const base::Error& error) {
    return {nullptr, fmt::format("on the processor: {}; but {}", reason, error.what())};
  }
}

std::string describe_devices() {
  std::string chosen = "auto chooses the processor";
  if (std::ranges::any_of(read_timings(device_cache(""), base::threads()), &Timing::on_gpu))
    chosen += ", and for training what is faster by the steps that gan bench step timed";
  else
    chosen += ": no step was timed on a GPU (gan bench step --device cuda)";
  try {
    return chosen + "; --device cuda computes on " + runtime::describe_gpu();
  } catch (const base::Error& error) {
    return chosen + "; no GPU can be used: " + error.what();
  }
}

}  // namespace gan::cli
