#pragma once

#include <optional>
#include <string>
#include <utility>

#include "eval/scores.h"

namespace gan::eval {

/// Judges the models of a run while it trains, more quickly than `gan eval`: 5,000 samples of images, no search for
/// copies, no Parzen window, no CAS. Each evaluation is a line of DIRECTORY/scores.jsonl ({"step", "elapsed_seconds",
/// scores, "score"}), and the model with the highest joint_score so far is DIRECTORY/best.safetensors, also over
/// resumed runs.
class RunScores {
 public:
  RunScores(std::string directory, Judge judge);

  /// What to tell before the run starts; "" if nothing. Data that is too small for a joint score gives no best model.
  std::string warning() const;

  /// Judges one model and returns a line for people. Throws as Judge::evaluate does, and a data error if a file cannot
  /// be written.
  std::string evaluate(const train::Model& model, double elapsed_seconds);

  /// The folder was renamed: the files are here now.
  void move_to(std::string directory) { directory_ = std::move(directory); }

 private:
  std::string path(const std::string& name) const;
  /// The highest score of the lines written so far; below 0 without any, or without the model that had it.
  double best_so_far() const;

  std::string directory_;
  Judge judge_;
  std::optional<double> best_;
};

}  // namespace gan::eval
