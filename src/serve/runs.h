#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "serve/http.h"
#include "serve/process.h"

namespace gan::serve {

/// The runs below a root: their state, read from their folders, and trainings as processes of their own. A server that
/// comes back finds all of it. Any thread may use it.
class Runs {
 public:
  /// `root`: a folder, canonical; empty: there are no runs.
  explicit Runs(std::string root);
  ~Runs();

  const std::string& root() const { return root_; }
  /// The folder of a run. Throws a Refusal if there is no run of that name.
  std::string folder(const std::string& name) const;

  /// As GET /v1/runs answers.
  nlohmann::ordered_json list();
  /// As GET /v1/runs/NAME answers.
  nlohmann::ordered_json describe(const std::string& name);

  /// Starts a training as the body of POST /v1/runs says, or only checks it. Throws a Refusal with what `gan train`
  /// says of it.
  nlohmann::ordered_json start(const nlohmann::ordered_json& body);
  void stop(const std::string& name);
  void resume(const std::string& name, const nlohmann::ordered_json& body);

  /// The events of a run behind `last_id`, an id of theirs; from the first line if it is empty, or the first with a
  /// step above `after`.
  std::shared_ptr<EventSource> events(const std::string& name, const std::string& last_id, std::int64_t after);
  /// The events of all runs.
  std::shared_ptr<EventSource> list_events();
  /// The number of trainings that this server has started, or is starting, and that have not ended.
  int training();

 private:
  class Beginning;
  nlohmann::ordered_json card(const std::string& name);
  void launch(const std::string& name, const std::string& folder, const std::vector<std::string>& arguments);
  void watch();

  const std::string root_;
  std::mutex mutex_;
  std::map<std::string, std::pair<std::string, nlohmann::ordered_json>> cards_;  // by name, with what they depend on
  std::map<std::string, Process> started_;
  std::set<std::string> beginning_;  // started or resumed, and not yet among `started_`
  // A thread looks for changes while somebody listens.
  std::atomic<std::uint64_t> version_ = 0;
  std::atomic<std::int64_t> asked_ = 0;  // milliseconds of the steady clock
  std::mutex watch_mutex_;
  std::condition_variable watch_changed_;
  bool ending_ = false;
  std::jthread watcher_;
  friend class ListEvents;
};

}  // namespace gan::serve
