#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "base/file.h"
#include "draw/plan.h"
#include "train/model_file.h"

namespace gan::draw {

/// Draws samples on the way from latent to latent, or from condition to condition, as `gan sample --interpolate` asks,
/// and writes them. `plan` has the combinations of values; `plan.each` is the number of latents of each way for
/// `latent`, and the number of ways for `condition`. `noise`: latents of --noise, [N, latent], or empty. `format`:
/// ".png" (a strip for each way), ".apng" or ".npy"; empty: that of the name, which may also be a folder's. Returns
/// what was written, for the user.
std::string interpolate(const SampleOptions& options, const SamplePlan& plan, const train::Model& model,
                        std::span<const float> noise, const base::Destination& to, const std::string& format = "");

}  // namespace gan::draw
