#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace gan::runs {

/// The summary of a run: "run" (its path below `root`, "." if they are the same), "preset", "data", "steps", "time"
/// (seconds of training), "score" (the last, 0 to 1), "best" (the highest), "best_step", each null if it is not known;
/// "error" if config.toml cannot be read.
nlohmann::ordered_json describe_run(const std::string& folder, const std::string& root);

/// The folders below `root` that hold a run, as paths relative to it, sorted; "." is the root itself. Links to folders
/// are not followed, hidden folders are left out.
std::vector<std::string> folders_of_runs(const std::string& root);

/// The summaries of the runs in a folder and below it, sorted by path. Throws a data error if `root` is not a folder.
std::vector<nlohmann::ordered_json> find_runs(const std::string& root);

}  // namespace gan::runs
