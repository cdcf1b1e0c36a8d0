#pragma once

#include <memory>
#include <optional>

#include "data/dataset.h"
#include "runtime/program.h"
#include "train/stepper.h"
#include "train/watchdog.h"

namespace gan::train {

/// How far rows of data lie apart, as root mean squares over rows and elements.
struct DataSpread {
  double total = 0;                   ///< the deviation of all rows
  std::optional<double> within = {};  ///< of rows of one condition; absent where too few rows share one
  /// The deviation of the conditions' mean rows; absent for unconditional data, and where the condition explains less
  /// than a hundredth of the variance.
  std::optional<double> between = {};
};

/// The spread of the data, from at most 2,048 of its rows. Rows of one condition are compared in pairs: each with the
/// one whose categories are equal and whose numbers are nearest, so that a trend along a number does not count.
DataSpread spread_of(const data::Dataset& dataset, const data::ConditionSpec& condition, std::uint64_t seed);

/// Measures a run while it trains: its averaged generator on the same latents and conditions every time, and what the
/// last step left in the state. It changes nothing of the run.
class Observer {
 public:
  /// `dataset` and `stepper` must outlive the observer.
  Observer(const Config& config, const data::Dataset& dataset, const Stepper& stepper);
  ~Observer();

  /// The last step must have computed gradient norms.
  Measurements measure();

 private:
  struct Generator;
  void measure_samples(Measurements& found);
  void measure_discriminator(Measurements& found) const;

  const Stepper& stepper_;
  DataSpread data_;
  std::unique_ptr<Generator> generator_;
};

}  // namespace gan::train
