#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "compiler/compile.h"
#include "data/batches.h"
#include "train/config.h"
#include "train/step.h"

namespace gan::train {

struct StepperOptions {
  std::set<std::string> disabled = {};        ///< passes of the compiler to leave out
  runtime::Profile* profile = nullptr;        ///< times batches, programs, passes and kernels
  const runtime::Backend* backend = nullptr;  ///< null: the CPU
  /// The ranks among which the rows of each batch are divided; null: this process alone. A backend must have the same.
  runtime::Communicator* communicator = nullptr;
};

/// Runs training steps: fills the batch and runs the program of the step's variant. The programs share one state and
/// are compiled when first needed.
class Stepper {
 public:
  /// Puts initial values into the state; variables that it leaves out are initialized at random.
  using Load = std::function<void(const std::vector<nn::Variable>& variables, runtime::State& state)>;

  /// The data must have at least a batch of samples. `dataset` must outlive the stepper. Throws a usage error for a
  /// batch that does not divide among the ranks and their parts.
  Stepper(const Config& config, const data::Dataset& dataset, const Load& load, const StepperOptions& options = {});

  /// Runs step `step`, counted from 0; with `norms` it also computes the gradient norms "norm.g" and "norm.d". `done`:
  /// the share of the run's budget that is used up before it, in [0, 1].
  void run(std::int64_t step, bool norms, double done = 0);

  /// The kernels that run() would run.
  const std::vector<runtime::Kernel>& kernels(std::int64_t step, bool norms) {
    return program({variant_of_step(config_, step), norms}).kernels();
  }
  /// How often the host starts something in such a step.
  std::size_t launches(std::int64_t step, bool norms) {
    return program({variant_of_step(config_, step), norms}).launches();
  }
  void set_profile(runtime::Profile* profile) { options_.profile = profile; }

  /// A step in which a loss diverged.
  struct LostStep {
    std::int64_t step;  ///< its number, from 0
    bool g, d;          ///< whose loss is NaN or beyond kLargestLoss
  };
  /// The first such step since the last call that found none.
  std::optional<LostStep> find_lost_step();

  const data::ConditionSpec& condition() const { return condition_; }
  const std::vector<nn::Variable>& variables() const { return variables_; }
  const runtime::State& state() const { return state_; }
  /// Null: the CPU.
  const runtime::Backend* backend() const { return options_.backend; }
  /// The value of a scalar in the state, such as "loss.g".
  float scalar(const char* name) const { return state_.at(name).on_host().f32()[0]; }

 private:
  /// The key of a program: the step's variant, and whether it computes gradient norms.
  struct Kind {
    StepVariant variant;
    bool norms = false;
    auto operator<=>(const Kind&) const = default;
  };

  /// An array of a batch, and where the host writes it: the array itself, or a copy that is sent to a device.
  struct Staged {
    runtime::Array array, host;
    void send() const;
  };
  /// Inputs that the host writes once for many steps, see StepOptions::queue.
  struct Queue {
    std::int64_t steps = 0;                 ///< 0: it writes them before each step
    std::int64_t first = 0, next = -1;      ///< the step of the first row; the one that the program does next
    std::vector<runtime::Array> condition;  ///< of one step
  };

  /// The rows of a batch that this rank computes.
  data::Batches::Rows rows() const;
  /// The parts of a batch on all ranks together.
  std::int64_t all_parts() const { return ranks_ * config_.train.parts; }
  const runtime::Program& program(const Kind& kind, const Load& load = nullptr);
  runtime::Program compile(graph::Graph& graph);
  void require_memory() const;
  void initialize(const Load& load);
  void send_data();
  void send_inputs(std::int64_t step);
  void stage_inputs();
  void send_batch(std::int64_t step);
  void send_queue(std::int64_t step);

  Config config_;
  const data::Dataset& dataset_;
  StepperOptions options_;
  std::int64_t rank_ = 0, ranks_ = 1;
  std::shared_ptr<runtime::Backend> backend_;  // of its own, with several ranks
  data::ConditionSpec condition_;
  data::Batches batches_;
  std::optional<std::int64_t> first_unchecked_;  // by find_lost_step
  runtime::State state_;
  runtime::Arena arena_;
  std::vector<nn::Variable> variables_;
  Queue queue_;                           // of rows, if the whole data set is on the device
  std::optional<Staged> samples_;         // or their numbers; since the first step
  std::vector<Staged> condition_values_;  // the same
  std::map<Kind, std::unique_ptr<runtime::Program>> programs_;
};

/// Throws a usage error if a batch does not divide into equal parts of whole packs, as many as `ranks` have together.
void require_whole_parts(const Config& config, std::int64_t ranks);

/// The number of steps after which variant_of_step repeats.
std::int64_t variant_period(const Config& config);

/// Mean seconds of a step in a profile, with filling its batch and logging.
double step_seconds(const runtime::Profile& profile);

}  // namespace gan::train
