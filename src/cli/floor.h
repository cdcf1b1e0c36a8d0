#pragma once

#include <cstdint>
#include <string>

#include "models/model.h"
#include "runtime/backend.h"
#include "runtime/profile.h"
#include "train/config.h"

namespace gan::cli {

/// The least work of a training step, averaged over the steps of a run.
struct Work {
  double operations = 0;  ///< FLOP of matrix products and convolutions
  double bytes = 0;       ///< variables read and written once, gradients read once in the run's precision
};

/// The work of a step whose programs do `contraction_operations` FLOP in matrix products and convolutions. For the
/// tutorial's networks a count by hand, 25.9 MFLOP per image, takes its place. `backend`, whose precision it is: null
/// is the CPU, here and below.
Work needed_work(const train::Config& config, const models::ModelSpec& spec, double contraction_operations,
                 const runtime::Backend* backend);

/// The seconds that the work takes at these rates, computing and moving bytes one after the other.
double floor_seconds(const Work& work, const runtime::Rates& rates);

/// "floor 6.09 ms: 1657.6 MFLOP at 410.1 GFLOP/s and 97.1 MB at 52.3 GB/s; 49% of 12.34 ms".
std::string describe_floor(const Work& work, const runtime::Rates& rates, double seconds);

/// The tables of a profile of training steps, for people; on the CPU with the floor, for which it measures the machine.
std::string describe_profile(const runtime::Profile& profile, const train::Config& config,
                             const models::ModelSpec& spec, const runtime::Backend* backend);

/// The best rates that this machine's CPU reaches for a step of this configuration, measured.
runtime::Rates best_rates(const train::Config& config);

/// Work per second, measured over repeated calls.
struct Rate {
  double median = 0;
  double best = 0;  ///< of the fastest call, which may owe it to the clock or to shared caches
};

/// FLOP/s of the fastest of the tutorial's large matmuls at this batch: forward, data gradient, weight gradient.
/// Operands and results have the type.
Rate matmul_rate(graph::DType dtype, std::int64_t batch);

/// Bytes a second of the plainest sweep over what Adam holds for the tutorial's networks, about 50 MB.
Rate sweep_rate();

}  // namespace gan::cli
