#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "eval/judge.h"

namespace gan::eval {

/// Judges the models of a run while it trains, more quickly than `gan eval`: 5,000 samples of images, no search for
/// copies, no Parzen window, no CAS. Each evaluation is a line of DIRECTORY/scores.jsonl ({"step", "elapsed_seconds",
/// scores, "score"}), and the model with the highest joint_score so far is DIRECTORY/best.safetensors, also over
/// resumed runs.
class RunScores {
 public:
  explicit RunScores(Judge judge);

  /// A note for the start of the run if the data is too small for a joint score, and so for a best model; else "".
  std::string warning() const;

  /// Judges one model and returns its scores as a line of text. `directory` returns the run's present folder. Throws as
  /// Judge::evaluate does, and a data error if a file cannot be written.
  std::string evaluate(const train::Model& model, double elapsed_seconds,
                       const std::function<std::filesystem::path()>& directory);

 private:
  /// The highest score in the folder's scores.jsonl; below 0 if there is none, or no best.safetensors.
  static double best_so_far(const std::filesystem::path& folder);

  Judge judge_;
  std::optional<double> best_;
};

}  // namespace gan::eval
