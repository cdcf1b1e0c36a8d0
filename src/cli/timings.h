#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/model.h"
#include "train/config.h"
#include "train/model_file.h"

namespace gan::cli {

/// Seconds of training steps on the devices of this machine, which `gan bench step` keeps in timings.json of the
/// default cache folder. --device auto estimates by them where a step is faster.
struct Timing {
  std::string gpu;        ///< as its backend describes it; "" for the processor
  double operations = 0;  ///< step_operations
  double seconds = 0;
};

using Timings = std::vector<Timing>;

/// FLOP of the matrix products, convolutions and other Specs of a training step as it is built, before the compiler's
/// passes, and of a generator's pass over a batch.
double step_operations(const train::Config& config, const models::ModelSpec& spec);
double sample_operations(const train::Model& model, std::int64_t batch);

/// The timings of this processor's model, with so many threads and this train.precision, as it was asked for; none if
/// the file is missing or damaged.
Timings read_timings(int threads, const std::string& precision);

/// Adds a timing in place of an earlier one that differs in its seconds alone. A cache folder that cannot be written is
/// ignored.
void keep_timing(int threads, const std::string& precision, const Timing& timing);

/// A step of so many operations, > 0, on a GPU or on the processor, by the timing whose operations are nearest: its
/// seconds are in proportion to them, but a smaller step takes a GPU no less, as launches bound it. Empty if that kind
/// of device was not timed.
std::optional<Timing> estimate(const Timings& timings, bool on_gpu, double operations);

}  // namespace gan::cli
