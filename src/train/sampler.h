#pragma once

#include <array>
#include <cstdint>
#include <list>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "runtime/program.h"
#include "train/model_file.h"
#include "train/step.h"

namespace gan::train {

/// Draws samples from a model's generator.
class Sampler {
 public:
  static constexpr std::array<std::string_view, 4> kPrecisions = {"auto", "f32", "int16", "bf16"};

  /// Shares the weights of `model`, which must not change; the Model itself may be destroyed. precision:
  /// - f32 or auto: a sample differs by at most 1e-5 between batch sizes.
  /// - int16: weights of dense layers have 16 bits and a scale for each row (errors of about 1e-3). A single sample
  /// takes
  ///   half the time, and one of a network of dense layers has the same bits in a batch of any size.
  /// - bf16: int16 for a single sample; larger batches multiply in bf16 if the processor supports it (about 1e-2).
  /// `disabled`: passes and kernels to leave out, to measure what they are worth (compiler::Options). `backend`: null
  /// is the CPU; it must outlive the sampler. Throws what require_precision throws.
  explicit Sampler(const Model& model, const std::string& precision = "auto",
                   const std::set<std::string>& disabled = {}, const runtime::Backend* backend = nullptr);

  /// Throws a usage error for a precision that is none of kPrecisions, and for int16 on another backend than the CPU.
  static void require_precision(const std::string& precision, const runtime::Backend* backend);

  /// Writes the samples of latents z [N, latent] and N rows of the condition, such as labels [N] (none for an
  /// unconditional model), to out [N, ...sample], in the training range. Throws a usage error if sizes or rows do not
  /// fit or a latent is not finite. Batches have at most kLargestBatch samples; the first batch of a size compiles a
  /// program, and the programs of the last kProgramsKept sizes are kept. From the second call on, a single sample of an
  /// MLP needs no allocation and no other thread.
  void sample(std::span<const float> z, const data::ConditionRows& y, std::span<float> out);

  /// Writes the samples of latents z [N, latent] and N blended rows of the condition, as the function above does.
  void sample(std::span<const float> z, const ConditionBlend& y, std::span<float> out);

  /// Fills z [N, latent] with latents first, first + 1, ... of a seed. Each depends on its index and the seed alone.
  /// With a truncation of at least kLeastTruncation, elements further than that from 0 are drawn again until they are
  /// not (Brock et al. 2019, arXiv 1809.11096): better samples that vary less. 0: none. Throws a usage error for other
  /// truncations, and for any if the model's latents are uniform.
  void latents(std::uint64_t seed, std::int64_t first, std::span<float> z, double truncation = 0) const;
  static constexpr double kLeastTruncation = 0.05;  // 1 in 25 values lies that near 0

  /// Throws a run error naming the sample, counted from `first`, if an element of samples [N, ...sample] is not finite.
  void require_finite(std::span<const float> samples, std::int64_t first = 0) const;

  static constexpr std::int64_t kLargestBatch = 256;  // larger ones gain no speed
  static constexpr std::size_t kProgramsKept = 8;
  /// The number of programs kept now.
  std::size_t programs() const { return programs_.size(); }

 private:
  /// A generator compiled for one batch size.
  struct Compiled {
    std::int64_t batch = 0;
    bool blended = false;
    runtime::State state;
    runtime::Arena arena;
    std::unique_ptr<runtime::Program> program;
    runtime::Array z, samples;
    std::vector<runtime::Array> y;
  };
  Compiled& compiled(std::int64_t batch, bool blended);
  template <typename Write>
  void draw(std::span<const float> z, std::span<float> out, bool blended, const Write& write);
  void compile(Compiled& entry) const;

  Model model_;
  std::string precision_;
  std::set<std::string> disabled_;
  const runtime::Backend* backend_;
  std::list<Compiled> programs_;  // the most recently used first
};

}  // namespace gan::train
