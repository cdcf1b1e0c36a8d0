#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "data/dataset.h"
#include "data/shuffle.h"
#include "train/config.h"
#include "train/step.h"

namespace gan::train {

struct StepperOptions {
  std::set<std::string> disabled = {};        ///< passes of the compiler to leave out
  runtime::Profile* profile = nullptr;        ///< times batches, programs, passes and kernels
  const runtime::Backend* backend = nullptr;  ///< what computes; null: the processor
};

/// Takes training steps: fills the batch, runs the program that the step's number asks for. The programs share one
/// state and are compiled when first needed.
class Stepper {
 public:
  /// Puts into the state what the run starts from; what it leaves out starts by chance.
  using Load = std::function<void(const std::vector<nn::Variable>& variables, runtime::State& state)>;

  /// `config` says a precision or "auto"; the data has at least a batch. `dataset` must outlive the stepper.
  Stepper(const Config& config, const data::Dataset& dataset, const Load& load, const StepperOptions& options = {});

  /// Takes step number `step`, from 0; `norms`: by the program that also computes "norm.g" and "norm.d".
  void run(std::int64_t step, bool norms);

  /// The kernels of the step that run() takes.
  const std::vector<runtime::Kernel>& kernels(std::int64_t step, bool norms) {
    return program({variant_of_step(config_, step), norms}).kernels();
  }
  void set_profile(runtime::Profile* profile) { options_.profile = profile; }
  std::int64_t steps_per_epoch() const { return dataset_.count() / config_.train.batch; }
  const data::ConditionSpec& condition() const { return condition_; }
  const std::vector<nn::Variable>& variables() const { return variables_; }
  const runtime::State& state() const { return state_; }
  /// A step whose losses training cannot go on from.
  struct LostStep {
    std::int64_t step;  ///< its number, from 0
    bool g, d;          ///< whose loss is NaN or beyond kLargestLoss
  };
  /// The first such step since the last call that found none.
  std::optional<LostStep> find_lost_step();
  float number(const char* name) const { return state_.at(name).on_host().f32()[0]; }

 private:
  /// Which of the programs: what the step does, and whether it is logged.
  struct Kind {
    StepVariant variant;
    bool norms = false;
    auto operator<=>(const Kind&) const = default;
  };

  const runtime::Program& program(const Kind& kind, const Load& load = nullptr);
  void require_memory() const;
  void initialize(const Load& load);
  void fill_batch(std::int64_t step);

  Config config_;
  const data::Dataset& dataset_;
  StepperOptions options_;
  data::ConditionSpec condition_;
  data::Shuffle shuffle_;
  std::optional<std::int64_t> first_unchecked_;  // step that find_lost_step has not seen
  runtime::State state_;
  runtime::Arena arena_;
  std::vector<nn::Variable> variables_;
  std::map<Kind, std::unique_ptr<runtime::Program>> programs_;
};

/// How many steps it takes until variants of steps recur.
std::int64_t variant_period(const Config& config);

/// Mean seconds of the steps in a profile, with their batches and logging.
double step_seconds(const runtime::Profile& profile);

}  // namespace gan::train
