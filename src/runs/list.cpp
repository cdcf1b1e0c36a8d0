#include "runs/list.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

#include "base/error.h"
#include "runs/files.h"
#include "train/config.h"

namespace gan::runs {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

Json describe_run(const std::string& folder_name, const std::string& root_name) {
  const fs::path folder(folder_name), root(root_name);
  const std::string run = folder == root ? "." : folder.lexically_relative(root).string();
  Json json{{"run", run},      {"preset", nullptr}, {"data", nullptr}, {"steps", nullptr},
            {"time", nullptr}, {"score", nullptr},  {"best", nullptr}, {"best_step", nullptr}};
  const auto path = [&](const char* name) { return (folder / name).string(); };
  try {
    const train::Config config = train::read_run_config(path("config.toml"));
    json["preset"] = config.preset;
    json["data"] = config.data.source;
  } catch (const base::Error& error) {
    json["error"] = error.what();
    return json;
  }
  Json notes = Json::array();
  const char* const time[] = {"elapsed_seconds"};
  if (const Json lines = read_lines(path("metrics.jsonl"), time, notes); !lines.is_null()) {
    json["steps"] = lines["step"].back();
    if (lines.contains("elapsed_seconds")) json["time"] = lines["elapsed_seconds"].back();
  }
  const char* const score[] = {"score"};
  const Json scores = read_lines(path("scores.jsonl"), score, notes);
  if (scores.is_null() || !scores.contains("score")) return json;
  json["score"] = scores["score"].back();
  for (std::size_t i = 0; i < scores["score"].size(); ++i) {
    const Json& value = scores["score"][i];
    if (!value.is_number() || (json["best"].is_number() && value <= json["best"])) continue;
    json["best"] = value;
    json["best_step"] = scores["step"][i];
  }
  return json;
}

std::vector<std::string> folders_of_runs(const std::string& root) {
  std::vector<std::string> folders;
  std::error_code error, ignored;
  if (fs::is_regular_file(fs::path(root) / "config.toml", ignored)) folders.emplace_back(".");
  for (fs::recursive_directory_iterator it(root, fs::directory_options::skip_permission_denied, error), end;
       !error && it != end; it.increment(error)) {
    if (!it->is_directory(ignored)) continue;
    if (it->path().filename().string().starts_with('.'))
      it.disable_recursion_pending();
    else if (fs::is_regular_file(it->path() / "config.toml", ignored))
      folders.push_back(it->path().lexically_relative(root).string());
  }
  std::ranges::sort(folders);
  return folders;
}

std::vector<Json> find_runs(const std::string& root) {
  if (!fs::is_directory(root)) base::fail_data("{}: no such folder", root);
  std::vector<Json> runs;
  for (const std::string& folder : folders_of_runs(root))
    runs.push_back(describe_run((folder == "." ? fs::path(root) : fs::path(root) / folder).string(), root));
  return runs;
}

}  // namespace gan::runs
