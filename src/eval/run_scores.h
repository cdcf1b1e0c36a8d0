#pragma once

#include <cstdint>
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

  /// The best of the evaluations in a run's folder.
  struct Best {
    std::int64_t step = 0;
    double score = -1;
    std::int64_t since = 0;  ///< evaluations after it that had a score

    /// Counts an evaluation; whether it is the best so far.
    bool add(std::int64_t at, double next);
  };
  /// What scores.jsonl in the folder says, broken lines left out; nullopt if there is no score or no best.safetensors.
  static std::optional<Best> best_of(const std::filesystem::path& folder);

  /// Why the data is too small for a joint score, and so for a best model; else "".
  std::string why_no_score() const;
  /// That as a note for the start of a run; else "".
  std::string warning() const;

  /// Judges one model and returns its scores as a line of text. `directory` returns the run's present folder. Throws as
  /// Judge::evaluate does, and a data error if a file cannot be written.
  std::string evaluate(const train::Model& model, double elapsed_seconds,
                       const std::function<std::filesystem::path()>& directory);
  /// What the last evaluate() wrote to scores.jsonl, a JSON object; empty before it.
  const std::string& last_line() const { return line_; }
  /// The best up to the last evaluate(); a score below 0 if there is none.
  const Best& best() const { return best_; }

 private:
  Judge judge_;
  bool known_ = false;  // whether best_ has what the folder holds
  Best best_;
  std::string line_;
};

}  // namespace gan::eval
