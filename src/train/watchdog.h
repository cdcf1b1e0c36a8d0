#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "data/condition.h"
#include "train/config.h"

namespace gan::train {

/// The measurements that a check of the watchdog takes of a run.
struct Measurements {
  /// How far samples of the same latents move when only the condition is shuffled, as a share of how far the mean rows
  /// of the data's conditions lie apart: 0 where the condition is ignored, at least about 1 where it is learnt.
  std::optional<double> condition = {};
  /// The deviation of samples of one condition, as a share of the data's: 0 where they are all alike.
  std::optional<double> spread = {};
  double d_wins = 0;       ///< how often D's output on a real row is above that on a sample, 1/2 where it cannot tell
  double d_deviation = 0;  ///< standard deviation of D's logits over the batch, real rows and samples together
  double gradient_g = 0, gradient_d = 0;  ///< L2 norms of the two gradients
  double length_g = 0, length_d = 0;      ///< L2 norms of all parameters of each network
};

/// The measurements by name, as metrics.jsonl has them behind "watch."; those that are absent are left out.
std::vector<std::pair<std::string, double>> figures(const Measurements& found);

/// The memory of the watchdog, kept in checkpoints, so that a resumed run warns as one that was never stopped.
struct WatchState {
  std::map<std::string, std::int64_t> seen;  ///< by kind of warning: the number of checks in a row that saw it
  std::set<std::string> said;                ///< kinds of warnings that were given
  std::map<std::string, double> references;  ///< what later checks are compared with
};

/// Judges measurements. It warns of each kind once in a run, when kChecks checks in a row have seen it, none before
/// watchdog.after steps nor before the average has forgotten the first weights.
class Watchdog {
 public:
  static constexpr std::int64_t kChecks = 3;

  Watchdog(const Config& config, const data::ConditionSpec& condition, bool images);

  /// The warnings that these measurements, after `step` steps, lead to: for each a sentence that says what was seen,
  /// what it means and the usual remedy.
  std::vector<std::string> judge(std::int64_t step, const Measurements& found, WatchState& state) const;

 private:
  bool is_young(std::int64_t step) const;

  const Config config_;
  std::string sample_, label_;  // words for a sample and for its condition
  std::string of_one_;          // "of a class", "of one condition", "" without a condition
};

}  // namespace gan::train
