#include "serve/run_state.h"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "runs/files.h"
#include "serve/process.h"

namespace gan::serve {

namespace fs = std::filesystem;

namespace {

/// Whether training is complete. How many steps --epochs are depends on the data, so that only the log of such a run
/// tells.
bool is_finished(const train::Config::Train& train, const RunState& run, const std::string& said) {
  if (said.starts_with("wrote ")) return true;
  if (train.steps > 0) return run.steps >= train.steps;
  // The last line of metrics.jsonl is up to one interval older than the end of training.
  return train.time > 0 && run.seconds + 1.5 * run.interval >= train.time;
}

}  // namespace

std::string last_line(const std::string& path) {
  std::string text = end_of_file(path, 8 << 10);
  text.erase(text.find_last_not_of("\r\n ") + 1);
  return text.substr(text.find_last_of("\r\n") + 1);
}

std::string end_of_file(const std::string& path, std::size_t bytes) {
  // Reading a pipe might never end, and a link may lead anywhere.
  std::error_code none;
  if (!fs::is_regular_file(fs::symlink_status(path, none))) return "";
  std::ifstream file(path, std::ios::binary);
  file.seekg(0, std::ios::end);
  const auto size = file ? static_cast<std::size_t>(file.tellg()) : 0;
  const std::size_t first = size - std::min(size, bytes);
  std::string text(size - first, '\0');
  file.seekg(static_cast<std::streamoff>(first));
  file.read(text.data(), static_cast<std::streamsize>(text.size()));
  if (!file) return "";
  return first == 0 ? text : text.substr(std::min(text.find('\n'), text.size() - 1) + 1);
}

RunState state_of(const std::string& folder, const train::Config& config) {
  constexpr std::size_t kTailBytes = 8 << 10;
  const fs::path path(folder);
  RunState run;
  std::istringstream lines(end_of_file((path / "metrics.jsonl").string(), kTailBytes));
  for (std::string line; std::getline(lines, line);) {
    const auto json = runs::parse_json(line);
    if (!json || !json->is_object()) continue;
    const auto step = json->find("step"), seconds = json->find("elapsed_seconds");
    if (step != json->end() && step->is_number_integer()) run.steps = step->get<std::int64_t>();
    if (seconds == json->end() || !seconds->is_number()) continue;
    run.interval = seconds->get<double>() - run.seconds;
    run.seconds = seconds->get<double>();
  }
  if (holder_of(folder) > 0) {
    run.state = "training";
    return run;
  }
  // A log that is older than the metrics belongs to an earlier training.
  std::error_code ignored;
  const auto written = [&](const char* name) { return fs::last_write_time(path / name, ignored); };
  const bool is_old = written(kTrainLog) < written("metrics.jsonl");
  const std::string said = is_old ? "" : last_line((path / kTrainLog).string());
  if (said.starts_with("gan: ") && !said.starts_with("gan: note") && !said.starts_with("gan: warning")) {
    run.state = "failed";
    run.error = said.substr(5);
  } else if (is_finished(config.train, run, said)) {
    run.state = "finished";
  } else {
    run.state = run.steps > 0 || fs::exists(path / "model.safetensors", ignored) ? "stopped" : "empty";
  }
  return run;
}

}  // namespace gan::serve
