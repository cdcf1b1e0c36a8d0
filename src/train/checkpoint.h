#pragma once

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "nn/scope.h"
#include "train/config.h"

namespace gan::train {

/// Where a run stands, beside its variables.
struct Position {
  std::int64_t steps = 0;
  double elapsed_seconds = 0;
  int threads = 0;  ///< that made the state
  std::string data_hash;
  std::vector<std::string> class_names = {};
  std::optional<Config> config = {};  ///< that made the state, but for what models do not keep; old files have none
};

/// Writes every variable of a run. Throws a data error if the file cannot be written; the old one then stays.
void save_checkpoint(const std::string& path, const Position& position, const std::vector<nn::Variable>& variables,
                     const runtime::State& state);

/// Fills `state` with the variables of a checkpoint, which must be exactly these. Throws a data error if they are not.
/// `accept` sees the position first, and throws if the run must not go on from there.
Position load_checkpoint(const std::string& path, const std::vector<nn::Variable>& variables, runtime::State& state,
                         const std::function<void(const Position&)>& accept);

}  // namespace gan::train
