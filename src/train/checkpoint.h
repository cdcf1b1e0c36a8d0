#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nn/scope.h"
#include "train/config.h"
#include "train/watchdog.h"

namespace gan::train {

/// The state of a run besides its variables.
struct Position {
  std::int64_t steps = 0;
  double elapsed_seconds = 0;
  int threads = 0;  ///< of the run that wrote it, in each rank
  std::string data_hash;
  std::vector<std::string> class_names = {};
  std::optional<Config> config = {};            ///< of the run, as to_json keeps it; old files have none
  int retries = 0;                              ///< how often the run diverged and went back; each time the rates fell
  std::optional<std::int64_t> good_steps = {};  ///< of the state that a run goes back to; absent: this one
  WatchState watch = {};
  std::string device = {};            ///< the GPU that wrote it and its libraries; "": the processor
  std::int64_t ranks = 1, parts = 1;  ///< of the run that wrote it; parts of a rank
};

/// Writes every variable of a run. Throws a data error if the file cannot be written, and then keeps the old one.
void save_checkpoint(const std::string& path, const Position& position, const std::vector<nn::Variable>& variables,
                     const runtime::State& state);

/// Fills `state` with the variables of a checkpoint. Throws a data error unless they are exactly `variables`. `accept`
/// gets the position first, and throws if the run must not resume from it.
Position load_checkpoint(const std::string& path, const std::vector<nn::Variable>& variables, runtime::State& state,
                         const std::function<void(const Position&)>& accept);

}  // namespace gan::train
