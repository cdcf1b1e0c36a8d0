#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "data/dataset.h"
#include "runtime/communicator.h"
#include "runtime/profile.h"
#include "train/config.h"
#include "train/watchdog.h"

namespace gan::train {

/// The progress of a run.
struct Progress {
  std::int64_t step = 0;          ///< steps done
  std::int64_t total_steps = 0;   ///< 0 if the run is limited by time
  double images_per_second = 0;   ///< since the last report
  double loss_g = 0, loss_d = 0;  ///< of the last step
  double d_real = 0, d_fake = 0;  ///< means of D's outputs in the last step (Loss::verdict)
  double grad_norm_g = 0, grad_norm_d = 0;
  double elapsed_seconds = 0;  ///< of training, earlier parts of the run included
  double seconds_left = 0;
  std::optional<Measurements> watch = {};  ///< of the watchdog, if it checked this step
  std::vector<std::string> warnings = {};  ///< given since the last report, without "warning: "
};

struct Model;

/// The trainer's callbacks. Any may be empty.
struct Callbacks {
  std::function<void(const Progress&)> on_log;      ///< every train.log_every steps, at checks and after the last
  std::function<bool()> stop_requested;             ///< called before every step
  std::function<void(const std::string&)> on_note;  ///< one line for the user
  /// Called every train.eval_every steps with the present model and the seconds trained so far. Its own time does not
  /// count. A checkpoint is saved after it, so that a resumed run does not repeat an evaluation. `directory` returns
  /// the run's folder, which may have been renamed.
  std::function<void(const Model&, double elapsed_seconds, const std::function<std::filesystem::path()>& directory)>
      on_evaluate;
  /// Called after on_evaluate; true ends the run as if its budget were used up.
  std::function<bool()> has_stalled = {};
  /// Called after a picture of samples was written, with the steps done and its path.
  std::function<void(std::int64_t step, const std::string& path)> on_picture = {};
  /// Called with the folder's new path after it was renamed or moved.
  std::function<void(const std::filesystem::path& directory)> on_move = {};
};

struct RunOptions {
  std::filesystem::path directory;
  bool resume = false;
  std::string init_model;                     ///< a model whose weights the run starts from; empty = none
  std::string command = {};                   ///< the command line, added to command.txt; empty = none
  runtime::Profile* profile = nullptr;        ///< times the parts of the run
  const runtime::Backend* backend = nullptr;  ///< computes steps, checks and pictures; null: the CPU
  /// The ranks that train together; null: this process alone. Rank 0 alone reads and writes the folder, and it alone
  /// needs callbacks.
  runtime::Communicator* communicator = nullptr;
};

inline constexpr int kMostRetries = 3;

enum class Outcome { finished, stopped };

/// Throws a usage error if the folder holds the checkpoint or a model of another run.
void require_new_run(const std::filesystem::path& directory);

/// The steps of a whole run on `samples` samples; 0 if it is limited by time.
std::int64_t total_steps(const Config& config, std::int64_t samples);

/// A note on saves of `bytes` bytes, for the start of training; "" below 1 GB.
std::string describe_saves(std::uint64_t bytes, std::int64_t checkpoint_every);

/// Trains, from the start or from the run's last checkpoint, until the budget is used up or a stop is requested, and
/// leaves in the directory: config.toml, command.txt, metrics.jsonl, samples/STEP.png, model.safetensors,
/// checkpoint.safetensors. The directory may be renamed meanwhile. A run that was stopped, or killed, and resumed gives
/// the same bytes as one that was not, on the same kind of processor or GPU with as many threads and in the same
/// precision.
/// Throws a usage error for values that do not fit the data, for a folder that holds another run or in which another
/// process trains, a data error for files that cannot be read or written, other data than the run had, and a folder
/// that is deleted meanwhile. When training diverges (losses or state are not finite, or too large to recover from) it
/// goes back to the last state that was saved at an interval of checkpoints or evaluations, else to the start, and on
/// with a quarter of the learning rates, at most kMostRetries times; a run error then, if train.on_nan is "stop", or if
/// the first step from that state diverges.
///
/// Several ranks train as one on the same batches, of which each computes its own rows: the result is that of one rank
/// but for rounding, and to the bit that of one with as many parts. Throws a run error, on all of them, if one has
/// other values, other data, another number of threads, another version of the program or another kind of processor.
Outcome train_run(const Config& config, const data::Dataset& dataset, const RunOptions& options,
                  const Callbacks& callbacks);

}  // namespace gan::train
