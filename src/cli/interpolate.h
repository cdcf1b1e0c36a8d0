#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "cli/sample_plan.h"
#include "train/model_file.h"

namespace gan::cli {

/// Draws samples on the way from latent to latent, or from condition to condition, as `gan sample --interpolate` asks,
/// and writes them to `out`. `plan`: the combinations of values, and for --interpolate latent the latents of each way,
/// else the ways. `noise`: latents of --noise, [N, latent], or empty. Returns what was written, for the user.
std::string interpolate(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
                        std::span<const float> noise, const std::string& out);

}  // namespace gan::cli
