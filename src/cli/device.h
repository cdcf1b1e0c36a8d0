#pragma once

#include <cstdint>
#include <set>
#include <string>

#include "models/model.h"
#include "runtime/devices.h"
#include "train/config.h"
#include "train/model_file.h"

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gan::cli {

/// Adds --device to a subcommand: auto, cpu, cuda or cuda:N. `device` keeps its value as the default.
CLI::Option* add_device_option(CLI::App& app, std::string& device);

/// The backend of --device, null for the CPU; compiled kernels of a GPU are kept in `cache` ("": the default folder).
/// `ranks` compute together, each on a GPU of its own; `disabled` names parts that a GPU leaves out. Throws a usage
/// error if --device names one GPU for several, and a run error that names what is missing if a GPU is asked for and
/// cannot be used.
const runtime::Backend* use_device(const std::string& device, const std::string& cache = "",
                                   runtime::Communicator& ranks = runtime::one_rank(),
                                   const std::set<std::string>& disabled = {});

/// A device that was chosen, and why: a sentence for users, "" unless steps were timed on both kinds of devices.
struct DeviceChoice {
  const runtime::Backend* backend = nullptr;  ///< null: the CPU
  std::string reason = {};
};

/// The device that --device auto takes for the training steps of a configuration on one rank: a GPU if steps that `gan
/// bench step` timed on this machine say that it is faster, else the processor. Compiled kernels of a GPU are kept in
/// `cache` as above.
DeviceChoice choose_for_steps(const train::Config& config, const models::ModelSpec& spec, const std::string& cache);

/// The device that --device auto takes to draw so many samples, > 0, of a model on one rank: a GPU if it is faster by
/// the same timings, the seconds included in which it begins.
DeviceChoice choose_for_samples(const train::Model& model, std::int64_t count, const std::string& cache);

/// The backend of a choice, whose reason is printed to standard error.
const runtime::Backend* use_choice(const DeviceChoice& choice);

/// Says what auto chooses and why, and which GPU there is or what is missing for one.
std::string describe_devices();

/// The cache folder: `given`, the default one if "", or "" where there is no home folder.
std::string device_cache(const std::string& given);

}  // namespace gan::cli
