#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "eval/scores.h"

namespace gan::eval {

/// Judges the models of a run while it trains, more quickly than `gan eval`: 5,000 samples of images, no search for
/// copies, no Parzen window, no CAS. Each evaluation is a line of DIRECTORY/scores.jsonl ({"step", "elapsed_seconds",
/// scores, "score"}), and the model with the highest joint_score so far is DIRECTORY/best.safetensors, also over
/// resumed runs.
class RunScores {
 public:
  explicit RunScores(Judge judge);

  /// What to tell before the run starts; "" if nothing. Data that is too small for a joint score gives no best model.
  std::string warning() const;

  /// Judges one model and returns a line for people. `directory` says where the run's folder is when its files are
  /// written. Throws as Judge::evaluate does, and a data error if a file cannot be written.
  std::string evaluate(const train::Model& model, double elapsed_seconds,
                       const std::function<std::filesystem::path()>& directory);

 private:
  /// The highest score of the lines in a folder; below 0 without any, or without the model that had it.
  static double best_so_far(const std::filesystem::path& folder);

  Judge judge_;
  std::optional<double> best_;
};

}  // namespace gan::eval
