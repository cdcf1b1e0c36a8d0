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
#include "train/sampler.h"

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

namespace {

std::string duration(double seconds) {
  return seconds < 1 ? fmt::format("{:.3g} ms", 1e3 * seconds) : fmt::format("{:.3g} s", seconds);
}

/// The faster device for `times` runs of a graph of so many operations, where a GPU begins after `delay` seconds.
/// `work` names all runs in the reason.
DeviceChoice choose(const std::string& work, double operations, double times, double delay, const Timings& timings,
                    const std::string& cache) {
  const std::optional<Timing> here = estimate(timings, /*on_gpu=*/false, operations),
                              there = estimate(timings, /*on_gpu=*/true, operations);
  if (!here || !there) return {};
  const double seconds_here = times * here->seconds, seconds_there = delay + times * there->seconds;
  const std::string reason =
      fmt::format("{} is estimated at {} on the processor and {} on {}, by steps that gan bench step timed", work,
                  duration(seconds_here), duration(seconds_there), there->gpu);
  if (seconds_here <= seconds_there) return {nullptr, "on the processor: " + reason};
  std::string missing = "that is not the first GPU now";
  try {
    const runtime::Backend* const gpu = runtime::choose_device("cuda", device_cache(cache));
    if (gpu->describe() == there->gpu) return {gpu, "on " + gpu->describe() + ": " + reason};
  } catch (const base::Error& error) {
    missing = error.what();
  }
  return {nullptr, fmt::format("on the processor: {}; but {}", reason, missing)};
}

}  // namespace

DeviceChoice choose_for_steps(const train::Config& config, const models::ModelSpec& spec, const std::string& cache) {
  const Timings timings = read_timings(base::threads(), config.train.precision);
  if (timings.empty()) return {};
  return choose("a step", step_operations(config, spec), /*times=*/1, /*delay=*/0, timings, cache);
}

DeviceChoice choose_for_samples(const train::Model& model, std::int64_t count, const std::string& cache) {
  constexpr double kDelay = 2;  // the driver, the libraries and compiled kernels are loaded, the weights are copied
  const Timings timings = read_timings(base::threads(), "auto");
  if (timings.empty()) return {};
  const std::int64_t batch = std::min(count, train::Sampler::kLargestBatch);
  return choose("drawing", sample_operations(model, batch), static_cast<double>(count) / static_cast<double>(batch),
                kDelay, timings, cache);
}

const runtime::Backend* use_choice(const DeviceChoice& choice) {
  if (!choice.reason.empty()) fmt::print(stderr, "gan: note: {}\n", choice.reason);
  return choice.backend;
}

std::string describe_devices() {
  const Timings timings = read_timings(base::threads(), "auto");
  const auto on_gpu = std::ranges::count_if(timings, [](const Timing& timing) { return !timing.gpu.empty(); });
  const std::string chosen = fmt::format(
      "auto chooses the processor, but a GPU where it is faster by steps that gan bench step has timed "
      "(so far {} on the processor, {} on a GPU)",
      base::counted(std::ssize(timings) - on_gpu, "step"), on_gpu);
  try {
    return chosen + "; --device cuda computes on " + runtime::describe_gpu();
  } catch (const base::Error& error) {
    return chosen + "; no GPU can be used: " + error.what();
  }
}

}  // namespace gan::cli
