#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/file.h"
#include "draw/plan.h"
#include "train/model_file.h"

namespace gan::draw {

/// Draws samples on the way from latent to latent, or from condition to condition, as `gan sample --interpolate` asks,
/// and writes them. Latents are interpolated for each combination of values in `plan`, through `plan.each` latents;
/// conditions through the combinations, for `plan.each` latents. `noise`: latents of --noise, [N, latent], or empty.
/// `format`: ".png" (a strip for each path), ".apng" or ".npy"; empty: by the ending of the name, or a folder. Returns
/// a line for the user that tells what was written.
std::string interpolate(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
                        std::span<const float> noise, const base::Destination& to, const std::string& format = "");

}  // namespace gan::draw
