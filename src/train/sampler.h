#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>

#include "runtime/program.h"
#include "train/model_file.h"

namespace gan::train {

/// Draws samples from a model's generator.
class Sampler {
 public:
  /// `model` must outlive the sampler. precision: "auto", "f32" or "bf16"; auto is f32 here, for what is lost by it is
  /// little and rounding the weights costs as much as is saved in small batches.
  explicit Sampler(const Model& model, const std::string& precision = "auto");

  /// Samples of latents z [N, latent] and labels [N], each in [0, classes), none for an unconditional model, into
  /// out [N, ...sample], in the training range. Throws a usage error if sizes or labels do not fit.
  void sample(std::span<const float> z, std::span<const std::int32_t> labels, std::span<float> out);

  /// The latents number `first` and on of a seed, [N, latent]: each depends on its number and the seed alone.
  void latents(std::uint64_t seed, std::int64_t first, std::span<float> z) const;

 private:
  /// A generator compiled for one batch size.
  struct Compiled {
    runtime::State state;
    runtime::Arena arena;
    std::unique_ptr<runtime::Program> program;
  };
  Compiled& compiled(std::int64_t batch);

  const Model& model_;
  std::string precision_;
  std::map<std::int64_t, Compiled> by_batch_;
};

}  // namespace gan::train
