#pragma once

#include <cmath>
#include <span>
#include <vector>

#include "models/model.h"
#include "nn/scope.h"
#include "train/config.h"

namespace gan::train {

/// The sizes of the networks of `config` for samples of this shape and this condition.
models::ModelSpec model_spec(const Config& config, const graph::Shape& sample, const data::ConditionSpec& condition);

/// The condition of a run's models: that of the data, or none if data.unconditional is set.
data::ConditionSpec condition_of(const Config& config, const data::ConditionSpec& data);

/// The name of the graph input for a column of the condition `name`: i32 [N] of categories, f32 [N, features] of
/// numbers.
std::string column_input(const std::string& name, const data::ConditionColumn& column);

/// The graph inputs of the columns of the condition `name`, shared, in the order of the columns.
std::vector<runtime::Array> condition_inputs(const runtime::State& state, const std::string& name,
                                             const data::ConditionSpec& spec);

/// Rows of a condition between others, to blend from one to the next: row i lies at share[i], 0 to 1, of the way from
/// row i of `from` to row i of `to`. Categories are blended as shares; numbers as their scaling makes them, those with
/// a period on the shorter way.
struct ConditionBlend {
  const data::ConditionRows& from;
  const data::ConditionRows& to;
  std::span<const float> share;
};

/// Writes a blend into the graph inputs of its columns, of which those of categories are shares.
void write_condition(std::span<runtime::Array> inputs, const data::ConditionSpec& spec, const ConditionBlend& blend);

/// Writes the rows of a condition into the graph inputs of its columns.
void write_condition(std::span<runtime::Array> inputs, const data::ConditionSpec& spec,
                     const data::ConditionRows& rows);

/// The parts of a step that some steps of a run leave out.
struct StepVariant {
  bool penalties = true;  ///< D's loss has its penalties
  bool update_g = true;   ///< G is trained too

  auto operator<=>(const StepVariant&) const = default;
};

/// A larger loss counts as diverged, like an infinite one: squares, as in Adam and penalties, overflow at 1.8e19.
/// Training that works stays ten orders of magnitude below.
inline constexpr double kLargestLoss = 1e15;

/// A larger weight or moment counts as diverged, for the reason at kLargestLoss.
inline constexpr float kLargestState = 1e18f;
inline bool is_lost(float value) { return !(std::abs(value) < kLargestState); }

/// The variant of step `step`, counted from 0: penalties in the first and then in every penalty.every-th step; G in
/// every train.d_steps-th.
StepVariant variant_of_step(const Config& config, std::int64_t step);

struct StepOptions {
  std::int64_t batch = 64;  ///< rows of a part
  std::int64_t parts = 1;   ///< of the batch, on all ranks together
  StepVariant variant = {};
  bool gradient_norms = false;    ///< also compute "norm.g" and "norm.d", the lengths of the two gradients
  bool gradient_outputs = false;  ///< also output every gradient as "grad.PARAMETER"
  bool latent_input = false;      ///< take the latents from the input "batch.z" instead of drawing them
  std::int64_t data_rows = 0;     ///< take the samples from the input "data.x" of so many rows, if not 0
  std::int64_t queue = 1;         ///< with data_rows: steps whose inputs are written at a time
};

/// Builds the graph of one training step: state' = step(state, batch).
///
/// The graph computes one part of the batch, N rows, and all_reduces join it with the others; every loss, gradient and
/// statistic is that of the whole batch. With several parts the input "batch.part", i32 [1], is the number of this one.
///
/// Inputs besides the variables: "batch.x" f32 [N, ...sample] in the training range, "batch.y" i32 [N] (the label of
/// conditional models; other columns as column_input says), "step" i32 [1], the number of steps done, and "random.key"
/// i32 [2], the words of the seed; with optim.schedule = budget "budget.done" f32 [], the share of the run's budget
/// that is used up. Outputs besides the variables: "loss.g", "loss.d", "verdict.real", "verdict.fake" (means of
/// Loss::verdict), "fake" [N, ...sample], "logits.real" and "logits.fake" [N, 1]. The inputs and outputs "lost.g" and
/// "lost.d" are 1 from the first step on whose loss is NaN or beyond kLargestLoss; "sound_steps" counts the steps
/// before it.
///
/// With data_rows the program counts the steps itself, and the host writes only "budget.done" between them: "data.x"
/// f32 [data_rows, elements of a sample] holds all samples; "batch.rows" i32 [queue, N], numbers of its rows, "batch.y"
/// [queue, elements] and "queue.steps" i32 [queue, 1], numbers of steps, take the places of "batch.x", "batch.y" and
/// "step" for `queue` steps. The input and output "queue.at" i32 [1] is the row that is next; "queue.next" i32
/// [queue, 1] has the row after each.
///
/// One forward pass of G makes the fakes. G's loss uses D before its update; D's loss uses the real rows and the same
/// fakes, detached, with the same D; then both are updated. The fakes have the labels of the real rows. A variant
/// without update_g leaves G's update out, and "loss.g" unless gradient norms are computed. Throws a usage error if
/// `config` does not fit `spec`. Returns the variables that the graph declares.
std::vector<nn::Variable> build_step(graph::Graph& graph, const Config& config, const models::ModelSpec& spec,
                                     const StepOptions& options);

/// Whether an input of that graph differs between the parts of a batch.
inline bool differs_by_part(const std::string& input) { return input.starts_with("batch."); }

/// Builds the generator for inference: inputs "z" f32 [N, latent] and "y" i32 [N] (labels, other columns as
/// column_input says; with `shares` f32 [N, categories], the share of each category), output "samples" [N, ...sample].
/// Returns the variables it needs.
std::vector<nn::Variable> build_sampler(graph::Graph& graph, const Config& config, const models::ModelSpec& spec,
                                        std::int64_t batch, bool shares = false);

/// The outputs of the discriminator, and the variables it needs.
struct JudgedSamples {
  models::Verdicts verdicts;
  std::vector<nn::Variable> variables;
};

/// Adds the discriminator as it is after training, without augmentation, noise and dropout, to the graph of samples x
/// [N, ...sample] in the training range and a condition y of N rows. N must be a multiple of spec.pack.
JudgedSamples build_discriminator(graph::Graph& graph, const Config& config, const models::ModelSpec& spec,
                                  graph::Tensor x, const models::Condition& y);

/// The variables of the discriminator, for samples of `spec`.
std::vector<nn::Variable> discriminator_variables(const Config& config, const models::ModelSpec& spec);

/// Names of the two networks' scopes.
inline constexpr const char* kGenerator = "generator";
inline constexpr const char* kDiscriminator = "discriminator";

/// Whether a variable belongs to the networks, unlike moments and averages.
inline bool of_network(const nn::Variable& variable) {
  return variable.name.starts_with(kGenerator) || variable.name.starts_with(kDiscriminator);
}

}  // namespace gan::train
