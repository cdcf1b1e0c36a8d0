#include "cli/device.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>
#include <optional>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
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
  return app.add_option("--device", device, "Compute on cpu, cuda or cuda:N (a GPU, docs/gpu.md); auto chooses")
      ->type_name("DEVICE")
      ->check(check);
}

const runtime::Backend* use_device(const std::string& device, const std::string& cache, runtime::Communicator& ranks,
                                   const std::set<std::string>& disabled) {
  return runtime::choose_device(device, device_cache(cache), ranks, disabled);
}

DeviceChoice choose_for_steps(const train::Config& config, const models::ModelSpec& spec, const std::string& cache) {
  const std::vector<Timing> timings = read_timings(base::threads(), config.train.precision);
  const double operations = timings.empty() ? 0 : step_operations(config, spec);
  const std::optional<Timing> here = estimate(timings, /*on_gpu=*/false, operations),
                              there = estimate(timings, /*on_gpu=*/true, operations);
  if (!here || !there) return {};
  const std::string reason = fmt::format(
      "a step is estimated at {:.3g} ms on the processor and {:.3g} ms on {}, by those that gan bench step timed",
      1e3 * here->seconds, 1e3 * there->seconds, there->gpu);
  if (here->seconds <= there->seconds) return {nullptr, "on the processor: " + reason};
  std::string missing = "that is not the first GPU now";
  try {
    const runtime::Backend* const gpu = runtime::choose_device("cuda", device_cache(cache));
    if (gpu->describe() == there->gpu) return {gpu, "on " + gpu->describe() + ": " + reason};
  } catch (const base::Error& error) {
    missing = error.what();
  }
  return {nullptr, fmt::format("on the processor: {}; but {}", reason, missing)};
}

std::string describe_devices() {
  const std::vector<Timing> timings = read_timings(base::threads(), "auto");
  const auto on_gpu = std::ranges::count_if(timings, [](const Timing& timing) { return !timing.gpu.empty(); });
  const std::string chosen = fmt::format(
      "auto chooses the processor, and for training a GPU where gan bench step has timed that it is faster "
      "(so far {} on the processor, {} on a GPU)",
      base::counted(std::ssize(timings) - on_gpu, "step"), on_gpu);
  try {
    return chosen + "; --device cuda computes on " + runtime::describe_gpu();
  } catch (const base::Error& error) {
    return chosen + "; no GPU can be used: " + error.what();
  }
}

}  // namespace gan::cli
