#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "train/config.h"

namespace gan::cli {

/// Seconds of training steps on the devices of this machine, which `gan bench step` keeps in timings.json of the cache
/// folder. --device auto estimates by them where a step is faster.
struct Timing {
  bool on_gpu = false;
  double operations = 0;  ///< step_operations
  double seconds = 0;
};

/// FLOP of the matrix products, convolutions and other Specs of a step as it is built, before the compiler's passes.
double step_operations(const train::Config& config, const models::ModelSpec& spec);

/// The timings of this processor's model and of this number of threads; none if the file is missing or damaged.
std::vector<Timing> read_timings(const std::string& cache, int threads);

/// Adds a timing in place of an earlier one of the same device, threads and operations. A cache folder that cannot be
/// written is ignored.
void keep_timing(const std::string& cache, int threads, const Timing& timing);

/// The seconds of a step of so many operations, by the timing whose operations are nearest: in proportion to them, but
/// a smaller step takes a GPU no less, as launches bound it. Empty if that device was not timed.
std::optional<double> estimate(const std::vector<Timing>& timings, bool on_gpu, double operations);

}  // namespace gan::cli
