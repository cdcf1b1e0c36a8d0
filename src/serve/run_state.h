#pragma once

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "train/config.h"

namespace gan::serve {

/// The state of a run, read from its folder.
struct RunState {
  std::string state;  ///< "training", "finished", "stopped", "failed", "empty"
  std::string error;  ///< of a failed run
  std::int64_t steps = 0;
  double seconds = 0;   ///< of training
  double interval = 0;  ///< seconds between the last lines of metrics.jsonl
};

/// The file in the folder of a run that gets the output of trainings that a server has started.
inline constexpr const char* kTrainLog = "train.log";

/// The state of the run in a folder. Reads only the ends of files.
RunState state_of(const std::string& folder, const train::Config& config);

/// The last complete lines of a file, at most `bytes` bytes; empty if there is no file.
std::string end_of_file(const std::string& path, std::size_t bytes);
/// The last line of a log that is not empty; empty if there is none.
std::string last_line(const std::string& path);

}  // namespace gan::serve
