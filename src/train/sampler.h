#pragma once

#include <cstdint>
#include <list>
#include <span>
#include <string>

#include "runtime/program.h"
#include "train/model_file.h"

namespace gan::train {

/// Draws samples from a model's generator.
class Sampler {
 public:
  /// Shares the weights of `model`, which must not change; the model itself may go. precision: "f32", "bf16" or "auto".
  /// auto is f32: a sample is the same to 1e-5 however many are drawn together. bf16 is faster: a single sample takes
  /// weights of 16 bits with a factor for each row (errors to some 1e-3), several are multiplied in bf16 where the
  /// processor has it (1e-2).
  explicit Sampler(const Model& model, const std::string& precision = "auto");

  /// Samples of latents z [N, latent] and N rows of the condition, such as labels [N] (none for an unconditional
  /// model), into out [N, ...sample], in the training range. Throws a usage error if sizes or rows do not fit or a
  /// latent is not finite. Batches of at most 256 are drawn; the first one of a size compiles a program for it, and the
  /// programs of the kProgramsKept sizes used last are kept. Drawing one sample by a perceptron allocates nothing from
  /// the second call on, and runs on the caller's thread alone.
  void sample(std::span<const float> z, const data::ConditionRows& y, std::span<float> out);

  /// The latents number `first` and on of a seed, [N, latent]: each depends on its number and the seed alone.
  void latents(std::uint64_t seed, std::int64_t first, std::span<float> z) const;

  /// Throws a run error naming the sample, counted from `first`, if a number of samples [N, ...sample] is not finite.
  void require_finite(std::span<const float> samples, std::int64_t first = 0) const;

  static constexpr std::size_t kProgramsKept = 8;
  /// Programs that are kept now.
  std::size_t programs() const { return programs_.size(); }

 private:
  /// A generator compiled for one batch size.
  struct Compiled {
    std::int64_t batch = 0;
    runtime::State state;
    runtime::Arena arena;
    std::unique_ptr<runtime::Program> program;
    std::span<float> z, samples;
    std::vector<std::span<std::int32_t>> y;  // a column of the condition each
  };
  Compiled& compiled(std::int64_t batch);
  void compile(Compiled& entry) const;

  Model model_;
  std::string precision_;
  std::list<Compiled> programs_;  // that used last in front
};

}  // namespace gan::train
