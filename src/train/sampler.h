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
  /// `model` must outlive the sampler and not change. precision: "f32", "bf16" or "auto"; auto is f32 or near it: a
  /// single sample is drawn with weights of 16 bits, a factor a row (relative error about 3e-5, a hundredth of bf16's),
  /// for reading the weights is all its cost; more of them, where the processor has AMX, with each number as the sum of
  /// two of bf16 (some 4e-6).
  explicit Sampler(const Model& model, const std::string& precision = "auto");

  /// Samples of latents z [N, latent] and labels [N], each in [0, classes), none for an unconditional model, into
  /// out [N, ...sample], in the training range. Throws a usage error if sizes or labels do not fit. The first call for
  /// a number of samples compiles; drawing one sample by a perceptron allocates nothing from the second call on, and
  /// runs on the caller's thread alone.
  void sample(std::span<const float> z, std::span<const std::int32_t> labels, std::span<float> out);

  /// The latents number `first` and on of a seed, [N, latent]: each depends on its number and the seed alone.
  void latents(std::uint64_t seed, std::int64_t first, std::span<float> z) const;

  /// Throws a run error naming the sample, counted from `first`, if a number of samples [N, ...sample] is not finite.
  void require_finite(std::span<const float> samples, std::int64_t first = 0) const;

 private:
  /// A generator compiled for one batch size.
  struct Compiled {
    runtime::State state;
    runtime::Arena arena;
    std::unique_ptr<runtime::Program> program;
    std::span<float> z, samples;
    std::span<std::int32_t> y;
  };
  Compiled& compiled(std::int64_t batch);

  const Model& model_;
  std::string precision_;
  std::map<std::int64_t, Compiled> by_batch_;
};

}  // namespace gan::train
