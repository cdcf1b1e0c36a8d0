#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "data/condition_choice.h"
#include "train/model_file.h"
#include "train/sampler.h"

namespace gan::draw {

/// The options of `gan sample`; 0 or "" if an option is not given.
struct SampleOptions {
  std::string model, label, labels, labels_file, conditions_file, balance, noise, out, format, interpolate,
      precision = "auto", device = "auto";
  std::vector<std::string> conditions;
  std::int64_t count = 0, per_class = 0, threads = 0;
  std::int64_t to = 0;     ///< with `balance`: the size to which each class is filled up; 0: that of the largest
  std::int64_t first = 0;  ///< index of the first latent of the seed
  std::int64_t seed = 1;
  std::int64_t steps = 0, rate = 12;  ///< of an interpolation: pictures from one stop to the next, pictures per second
  double truncation = 0;              ///< 0: none, else at least Sampler::kLeastTruncation
  const runtime::Backend* backend = nullptr;  ///< for `device`; null: the CPU
  bool same_latents = false, overwrite = false, spherical = false, show_progress = false;
  std::function<void(const std::string&)> progress = {};  ///< gets lines while the data of --balance is read
  /// Called between batches and between files; may throw to end the draw.
  std::function<void()> throw_if_cancelled = [] {};
};

/// The most samples of one call of `gan sample`.
inline constexpr std::int64_t kMostSamples = 100'000'000;

/// The largest number of a first latent.
inline constexpr std::int64_t kMostFirst = 1'000'000'000'000;

/// Which samples to draw.
struct SamplePlan {
  std::optional<data::ConditionGrid> grid;  ///< the combinations of values; none for an unconditional model
  std::int64_t each = 0;                    ///< samples for each combination
  std::int64_t total = 0;
  std::int64_t columns = 0;  ///< images in a row of a picture of all samples
  std::string note;          ///< for the user, or ""

  /// The rows of the condition for samples [first, first + count).
  data::ConditionRows rows(std::int64_t first, std::int64_t count) const;
};

/// Plans the samples for these options. `noise_rows`: the number of latents in --noise, 0 without. Throws a usage error
/// if the model cannot draw them, a data error for bad files.
SamplePlan make_sample_plan(const SampleOptions& options, const train::Model& model, std::int64_t noise_rows);

/// Writes the latents of samples first, first + 1, ... of a plan to z [N, latent]. They come from `noise` [rows,
/// latent] if that is not empty, else from the seed.
void fill_latents(const SampleOptions& options, const SamplePlan& plan, std::span<const float> noise,
                  const train::Sampler& sampler, std::int64_t latent, std::int64_t first, std::span<float> z);

}  // namespace gan::draw
