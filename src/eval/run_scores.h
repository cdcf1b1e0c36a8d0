#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>

#include "eval/judge.h"

namespace gan::eval {

/// Scores the models of a run during training, in less time than `gan eval`: 5,000 samples of images, no search for
/// copies, no Parzen window, no CAS. Each evaluation appends a line to DIRECTORY/scores.jsonl ({"step",
/// "elapsed_seconds", scores, "score"}). The model with the highest joint_score so far, also before the run was
/// resumed, is DIRECTORY/best.safetensors.
class RunScores {
 public:
  explicit RunScores(Judge judge);

  /// The best of the evaluations in a run's folder.
  struct Best {
    std::int64_t step = 0;
    double score = -1;
    std::int64_t since = 0;  ///< number of later evaluations with a score

    /// Adds an evaluation. Returns whether it is the best so far.
    bool add(std::int64_t at, double next);
  };
  /// Reads the best from scores.jsonl in the folder, ignoring broken lines; nullopt without scores or best.safetensors.
  static std::optional<Best> best_of(const std::filesystem::path& folder);

  /// The reason why models of the run have no joint score, and so none is best; "" if they have one.
  std::string why_no_score() const;
  /// The same as a note for the start of a run.
  std::string warning() const;

  /// Judges one model and returns its scores as a line of text. `directory` returns the run's current folder. Throws as
  /// Judge::evaluate does, and a data error if a file cannot be written.
  std::string evaluate(const train::Model& model, double elapsed_seconds,
                       const std::function<std::filesystem::path()>& directory);
  /// What the last evaluate() wrote to scores.jsonl, a JSON object; empty before it.
  const std::string& last_line() const { return line_; }
  /// The best so far; its score is below 0 if there is none.
  const Best& best() const { return best_; }

 private:
  Judge judge_;
  bool known_ = false;  // whether the best in the folder was read into best_
  Best best_;
  std::string line_;
};

}  // namespace gan::eval
