#include "cli/device.h"

#include <CLI/CLI.hpp>

#include "base/error.h"
#include "data/mnist.h"
#include "runtime/devices.h"

namespace gan::cli {

namespace {

/// The folder for kernels: none where there is no home folder.
std::string kernel_cache(const std::string& given) {
  try {
    return given.empty() ? data::default_cache() : given;
  } catch (const base::Error&) {
    return "";
  }
}

}  // namespace

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
  return runtime::choose_device(device, kernel_cache(cache), ranks, disabled).backend;
}

std::string describe_devices() {
  const std::string chosen = "auto chooses " + runtime::choose_device("auto", "").reason;
  try {
    return chosen + "; --device cuda computes on " + runtime::describe_gpu();
  } catch (const base::Error& error) {
    return chosen + "; no GPU can be used: " + error.what();
  }
}

}  // namespace gan::cli
