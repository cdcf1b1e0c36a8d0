#include "serve/runs.h"

#include <fmt/core.h>

#include <algorithm>
#include <csignal>
#include <filesystem>
#include <optional>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "data/source.h"
#include "runs/files.h"
#include "runs/list.h"
#include "runs/report_data.h"
#include "serve/access.h"
#include "serve/run_events.h"
#include "serve/run_state.h"
#include "train/config.h"
#include "train/preset.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kCurvePoints = 60;
constexpr std::size_t kLogBytes = 8 << 10;
constexpr std::size_t kMostTrainings = 4;  // of this server at once
constexpr auto kWatchPause = std::chrono::milliseconds(500);
constexpr std::int64_t kWatchFor = 3000;  // milliseconds for which changes are looked for after a listener has asked

std::string url_of(const std::string& name) { return "/v1/runs/" + encode_url(name); }

std::string stamp_of(const fs::path& file) {
  std::error_code error;
  const auto time = fs::last_write_time(file, error);
  return error ? "-" : fmt::format("{}.", time.time_since_epoch().count());
}

/// A text that changes when the summary of a run (its card) may have changed.
std::string fingerprint(const fs::path& folder) {
  std::string text;
  for (const char* name : {"config.toml", "metrics.jsonl", "scores.jsonl", "samples", "model.safetensors", kTrainLog})
    text += stamp_of(folder / name);
  return text + std::to_string(holder_of(folder.string()));
}

/// At most kCurvePoints rows of these columns, evenly spaced.
Json thinned(const Json& lines, std::initializer_list<std::pair<const char*, const char*>> names) {
  Json out;
  const std::size_t rows = lines.is_object() ? lines["step"].size() : 0, kept = std::min(rows, kCurvePoints);
  for (const auto& [from, to] : names) {
    out[to] = Json::array();
    for (std::size_t i = 0; i < kept; ++i)
      out[to].push_back(lines.contains(from) ? lines[from][kept == 1 ? 0 : i * (rows - 1) / (kept - 1)] : Json());
  }
  return out;
}

std::int64_t count_warnings(const fs::path& metrics) {
  std::error_code ignored;
  if (!fs::is_regular_file(metrics, ignored)) return 0;
  std::istringstream lines(base::read_file(metrics.string()));
  std::int64_t count = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.find("\"watch.warnings\"") == std::string::npos) continue;
    const Json json = Json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (json.is_object()) count += std::ssize(json.value("watch.warnings", Json::array()));
  }
  return count;
}

std::string text_of(const Json& body, const char* field) {
  const Json value = body.value(field, Json());
  if (value.is_null()) return "";
  if (value.is_number_integer()) return value.dump();
  if (!value.is_string()) throw Refusal{400, fmt::format("{}: expected a text", field), field};
  const std::string text = value.get<std::string>();
  if (!base::is_plain(text)) throw Refusal{400, fmt::format("{}: control characters are not allowed", field), field};
  return text;
}

/// The value of a key as --set takes it.
std::string setting_text(const std::string& key, const Json& value) {
  if (value.is_string() && base::is_plain(value.get<std::string>())) return value.get<std::string>();
  if (value.is_number() || value.is_boolean()) return value.dump();
  if (value.is_array() && std::ranges::all_of(value, [](const Json& each) { return each.is_number_integer(); }))
    return value.dump();
  throw Refusal{400, "set." + key + ": expected a number, a text, true, false or a list of whole numbers",
                "set." + key};
}

/// Adds the length of training in a body to `arguments`, as options such as --time 3m.
void add_length(const Json& body, std::vector<std::string>& arguments) {
  for (const char* field : {"steps", "epochs", "time"})
    if (const std::string text = text_of(body, field); !text.empty()) {
      arguments.push_back(std::string("--") + field);
      arguments.push_back(text);
    }
}

void refuse_unknown(const Json& body, std::initializer_list<std::string_view> fields) {
  for (const auto& [field, value] : body.items())
    if (std::ranges::find(fields, field) == fields.end())
      throw Refusal{400, "there is no field of that name: " + base::printable(field.substr(0, 60)), field};
}

/// Checks values as `gan train` does, but for errors that depend on the data.
void try_values(const Json& body, const std::vector<std::pair<std::string, std::string>>& settings) {
  std::string field = "preset";
  try {
    train::Config config;
    const std::string preset = text_of(body, "preset");
    if (!preset.empty()) config = train::load_preset(preset);
    for (const auto& [name, setting] : settings) {
      field = name;
      train::apply_settings(config, std::span(&setting, 1));
    }
    field = "";
    if (!preset.empty()) train::validate(config);
  } catch (const base::Error& error) {
    throw Refusal{400, error.what(), field};
  }
}

std::string quoted_command(const std::vector<std::string>& arguments) {
  std::string command = "gan";
  for (const std::string& argument : arguments) command += " " + base::shell_quoted(argument);
  return command;
}

}  // namespace

/// Sends an event whenever a run has changed.
class ListEvents : public EventSource {
 public:
  explicit ListEvents(Runs& runs) : runs_(runs) {}
  bool next(std::string& out) override {
    runs_.asked_ = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
    const std::uint64_t version = runs_.version_;
    if (version != seen_) out += fmt::format("id: {}\nevent: runs\ndata: {{}}\n\n", version);
    seen_ = version;
    return true;
  }

 private:
  Runs& runs_;
  std::uint64_t seen_ = 0;
};

Runs::Runs(std::string root) : root_(std::move(root)) {
  if (!root_.empty()) watcher_ = std::jthread([this] { watch(); });
}

Runs::~Runs() {
  {
    const std::scoped_lock lock(watch_mutex_);
    ending_ = true;
  }
  watch_changed_.notify_all();
}

void Runs::watch() {
  std::string seen;
  for (std::unique_lock lock(watch_mutex_);;) {
    if (watch_changed_.wait_for(lock, kWatchPause, [&] { return ending_; })) return;
    const auto now = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now().time_since_epoch()).count();
    if (now - asked_ > kWatchFor) continue;
    std::string found;
    try {
      training();  // removes trainings that have ended
      for (const std::string& name : runs::folders_of_runs(root_)) found += name + fingerprint(fs::path(root_) / name);
    } catch (const std::exception&) {  // a folder vanished meanwhile: the next look will be right
      continue;
    }
    if (found != seen) ++version_;
    seen = std::move(found);
  }
}

std::string Runs::folder(const std::string& name) const {
  if (root_.empty()) throw Refusal{404, "this server has no root, so there are no runs"};
  const std::string path = folder_of_run(root_, name);
  std::error_code ignored;
  if (!fs::is_regular_file(fs::path(path) / "config.toml", ignored)) throw Refusal{404, "there is no run of that name"};
  return path;
}

Json Runs::card(const std::string& name) {
  const std::string path = folder(name);
  const std::string stamp = fingerprint(path);
  {
    const std::scoped_lock lock(mutex_);
    if (const auto found = cards_.find(name); found != cards_.end() && found->second.first == stamp)
      return found->second.second;
  }
  Json run = runs::describe_run(path, root_);
  run.erase("run");
  if (run.contains("error")) run["error"] = without_paths(run["error"], root_);
  Json card{{"name", name}};
  card.update(run);
  Json state{{"state", "failed"}, {"total_steps", nullptr}, {"total_time", nullptr}};
  if (!run.contains("error")) {
    const train::Config config = train::read_run_config((fs::path(path) / "config.toml").string());
    const RunState now = state_of(path, config);
    state["state"] = now.state;
    state["error"] = now.error.empty() ? Json() : Json(without_paths(now.error, root_));
    if (config.train.steps > 0) state["total_steps"] = config.train.steps;
    if (config.train.time > 0) state["total_time"] = config.train.time;
  }
  card.update(state);
  static constexpr const char* kLosses[] = {"loss_g", "loss_d"};
  Json notes = Json::array();
  const fs::path metrics = fs::path(path) / "metrics.jsonl";
  card["loss"] =
      thinned(runs::read_lines(metrics.string(), kLosses, notes), {{"step", "step"}, {"loss_g", "g"}, {"loss_d", "d"}});
  card["warnings"] = count_warnings(metrics);
  const std::vector<std::int64_t> pictures = runs::picture_steps((fs::path(path) / "samples").string());
  card["picture"] = pictures.empty() ? Json() : Json(fmt::format("{}/pictures/{}.png", url_of(name), pictures.back()));
  std::error_code ignored;
  card["has_model"] = fs::is_regular_file(fs::path(path) / "model.safetensors", ignored);
  const auto written =
      fs::last_write_time(fs::exists(metrics, ignored) ? metrics : fs::path(path) / "config.toml", ignored);
  card["modified"] =
      std::chrono::duration_cast<std::chrono::seconds>(std::chrono::file_clock::to_sys(written).time_since_epoch())
          .count();
  const std::scoped_lock lock(mutex_);
  cards_[name] = {stamp, card};
  return card;
}

Json Runs::list() {
  Json all = Json::array();
  if (root_.empty()) return all;
  training();
  for (const std::string& folder : runs::folders_of_runs(root_)) {
    const std::string name = name_of_run(root_, folder);
    try {
      all.push_back(card(name));
    } catch (const Refusal&) {  // it has vanished
    } catch (const base::Error& error) {
      all.push_back({{"name", name},
                     {"state", "failed"},
                     {"error", without_paths(error.what(), root_)},
                     {"loss", {{"step", Json::array()}, {"g", Json::array()}, {"d", Json::array()}}}});
    }
  }
  return all;
}

Json Runs::describe(const std::string& name) {
  training();
  const std::string path = folder(name);
  Json run = card(name);
  if (run["preset"].is_null()) throw Refusal{409, "config.toml of the run cannot be read"};
  const train::Config config = train::read_run_config((fs::path(path) / "config.toml").string());
  run["report"] = runs::report_data(path, url_of(name));
  run["config"] = Json::object();
  for (const std::string& key : train::config_keys()) run["config"][key] = train::value_of(config, key);
  run["log"] = end_of_file((fs::path(path) / kTrainLog).string(), kLogBytes);
  return run;
}

/// Holds one of the kMostTrainings places while a training starts, until it is in `started_` or has failed.
class Runs::Beginning {
 public:
  /// Throws a Refusal if no place is free, or if the run is being started already.
  Beginning(Runs& runs, const std::string& name) : runs_(runs), name_(name) {
    runs.training();  // removes trainings that have ended
    const std::scoped_lock lock(runs.mutex_);
    if (runs.beginning_.count(name)) throw Refusal{409, "the run is being started"};
    if (runs.started_.size() + runs.beginning_.size() >= kMostTrainings)
      throw Refusal{429, "enough trainings run already", "", 30};
    runs.beginning_.insert(name);
  }
  ~Beginning() {
    const std::scoped_lock lock(runs_.mutex_);
    runs_.beginning_.erase(name_);
  }
  Beginning(const Beginning&) = delete;
  Beginning& operator=(const Beginning&) = delete;

 private:
  Runs& runs_;
  const std::string name_;
};

Json Runs::start(const Json& body) {
  if (root_.empty()) throw Refusal{404, "this server has no root, so no run can be started"};
  refuse_unknown(body,
                 {"name", "preset", "data", "time", "steps", "epochs", "seed", "init", "set", "condition", "check"});
  const Json checks = body.value("check", Json(false));
  if (!checks.is_boolean()) throw Refusal{400, "check: expected true or false", "check"};
  const bool check = checks.get<bool>();
  std::vector<std::string> arguments = {"train"};
  std::vector<std::pair<std::string, std::string>> settings;  // field, key=value
  if (const std::string preset = text_of(body, "preset"); !preset.empty()) arguments.push_back(preset);
  const std::string data = text_of(body, "data");
  if (data.empty() && !check) throw Refusal{400, "data: say what to train on", "data"};
  if (!data.empty()) {
    std::string source = data;
    if (!data::is_named_source(data)) try {
        source = path_below(root_, data);
      } catch (const Refusal&) {
        throw Refusal{400, "data: there is no such file or folder below the root, nor data of that name", "data"};
      }
    arguments.insert(arguments.end(), {"--data", source});
  }
  for (const char* field : {"steps", "epochs", "time", "seed"})
    if (const std::string text = text_of(body, field); !text.empty())
      settings.emplace_back(field, fmt::format("train.{}={}", field, text));
  add_length(body, arguments);
  for (const char* field : {"seed", "condition"})
    if (const std::string text = text_of(body, field); !text.empty())
      arguments.insert(arguments.end(), {std::string("--") + field, text});
  if (const std::string init = text_of(body, "init"); !init.empty())
    arguments.insert(arguments.end(), {"--init", folder(init)});
  const Json set = body.value("set", Json::object());
  if (!set.is_object()) throw Refusal{400, "set: expected an object", "set"};
  for (const auto& [key, value] : set.items()) {
    if (!base::is_plain(key) || key.find('=') != std::string::npos || key == "data.source")
      throw Refusal{400, "set: there is no such key to set", "set"};
    settings.emplace_back("set." + key, key + "=" + setting_text(key, value));
    arguments.insert(arguments.end(), {"--set", settings.back().second});
  }
  try_values(body, settings);

  const std::string name = text_of(body, "name");
  if (name.empty() && check) return {{"command", quoted_command(arguments)}};
  const fs::path wanted(name);
  const bool plain =
      !name.empty() && name.size() < 200 && !wanted.is_absolute() &&
      std::ranges::none_of(wanted, [](const fs::path& part) { return part.empty() || part.string()[0] == '.'; });
  if (!plain)
    throw Refusal{400, "name: expected one such as mnist-2 or digits/a, no part of which begins with a dot", "name"};
  const fs::path path = fs::path(root_) / wanted;
  // Links may not lead the new folder out of the root.
  fs::path parent = path.parent_path();
  std::error_code error;
  while (!fs::exists(parent, error)) parent = parent.parent_path();
  path_below(root_, fs::canonical(parent).lexically_relative(root_).string());
  if (fs::exists(path, error)) throw Refusal{409, "name: there is a file, folder or run of that name", "name"};
  arguments.insert(arguments.end(), {"--out", path.string()});
  const std::string command = quoted_command(arguments);
  if (check) return {{"command", command}};
  if (!fs::is_directory(parent, error)) throw Refusal{400, "name: a part of it is a file", "name"};
  const Beginning beginning(*this, name);
  base::create_folder(path.parent_path().string());
  // Of two requests at once only one makes the folder.
  if (!fs::create_directory(path, error))
    throw Refusal{409, "name: there is a file, folder or run of that name", "name"};
  try {
    launch(name, path.string(), arguments);
  } catch (...) {
    if (!fs::exists(path / "config.toml", error)) fs::remove_all(path, error);
    throw;
  }
  return {{"name", name}, {"command", command}};
}

void Runs::launch(const std::string& name, const std::string& path, const std::vector<std::string>& arguments) {
  constexpr auto kStart = std::chrono::minutes(10);  // large data are read first
  const std::string log = (fs::path(path) / kTrainLog).string();
  std::error_code none;
  const std::uintmax_t said_before = fs::exists(log, none) ? fs::file_size(log, none) : 0;
  Process process(arguments, log);
  // Wrong values and wrong data mostly end the training at once.
  for (const auto end = Clock::now() + kStart; Clock::now() < end && !base::is_interrupted();) {
    if (!process.running()) {
      if (process.code() == 0) return;
      std::string said = last_line(log);
      if (said.starts_with("gan: ")) said.erase(0, 5);
      fs::resize_file(log, said_before, none);  // the run has not failed, this request has
      throw Refusal{400, said.empty() ? "the training ended at once" : without_paths(said, root_)};
    }
    if (holder_of(path) == process.pid() && fs::exists(fs::path(path) / "config.toml", none)) break;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  const std::scoped_lock lock(mutex_);
  started_.insert_or_assign(name, std::move(process));
}

int Runs::training() {
  const std::scoped_lock lock(mutex_);
  for (auto it = started_.begin(); it != started_.end();) {
    if (it->second.running()) {
      ++it;
      continue;
    }
    if (const int code = it->second.code(); code > 128) {
      std::error_code ignored;
      const fs::path log = fs::path(root_) / it->first / kTrainLog;
      if (fs::exists(log, ignored))
        base::append_to_file(log.string(), fmt::format("\ngan: ended by signal {}\n", code - 128));
    }
    it = started_.erase(it);
  }
  return static_cast<int>(started_.size() + beginning_.size());
}

void Runs::stop(const std::string& name) {
  const std::string path = folder(name);
  const pid_t pid = holder_of(path);
  if (pid <= 0) throw Refusal{409, "the run is not training"};
  if (::kill(pid, SIGTERM) != 0) throw Refusal{409, "the training belongs to another user of this machine"};
}

void Runs::resume(const std::string& name, const Json& body) {
  refuse_unknown(body, {"time", "steps", "epochs"});
  const std::string path = folder(name);
  if (holder_of(path) > 0) throw Refusal{409, "the run is training"};
  std::vector<std::string> arguments = {"train", "--resume", "--out", path};
  add_length(body, arguments);
  const Beginning beginning(*this, name);
  launch(name, path, arguments);
}

std::shared_ptr<EventSource> Runs::events(const std::string& name, const std::string& last_id, std::int64_t after) {
  return run_events(folder(name), root_, url_of(name), last_id, after);
}

std::shared_ptr<EventSource> Runs::list_events() { return std::make_shared<ListEvents>(*this); }

}  // namespace gan::serve
