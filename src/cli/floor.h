#pragma once

#include <cstdint>
#include <string>

#include "models/model.h"
#include "runtime/profile.h"
#include "train/config.h"

namespace gan::cli {

/// What a training step cannot do without, a mean over the steps of a run.
struct Work {
  double operations = 0;  ///< of contractions
  double bytes = 0;       ///< variables read and written once, gradients read once in the run's precision
};

/// The work of a step whose programs do `contraction_operations`. Of the tutorial's networks the operations are counted
/// by hand instead: 25.9 million an image, however many the programs do.
Work needed_work(const train::Config& config, const models::ModelSpec& spec, double contraction_operations);

/// Seconds that the work takes at these rates, one after the other.
double floor_seconds(const Work& work, const runtime::Rates& rates);

/// "floor 6.09 ms: 1657.6 MFLOP at 410.1 GFLOP/s and 97.1 MB at 52.3 GB/s; 49% of 12.34 ms".
std::string describe_floor(const Work& work, const runtime::Rates& rates, double seconds);

/// The floor and the tables of a profile of training steps, for people; measures the machine.
std::string describe_profile(const runtime::Profile& profile, const train::Config& config,
                             const models::ModelSpec& spec);

/// The rates that a step of this configuration can hope for, measured.
runtime::Rates best_rates(const train::Config& config);

/// What a machine does a second, over repeated calls.
struct Rate {
  double median = 0;
  double best = 0;  ///< of a single call: above the median by luck, with the clock or with the caches that others share
};

/// FLOP/s of the fastest of the tutorial's large matmuls at this batch: forward, data gradient, weight gradient.
/// Operands and results have the type.
Rate matmul_rate(graph::DType dtype, std::int64_t batch);

/// Bytes a second of the plainest sweep over what Adam holds for the tutorial's networks, about 50 MB.
Rate sweep_rate();

}  // namespace gan::cli
