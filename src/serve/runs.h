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

/// The runs below a root: their state, read from their folders, and trainings in processes of their own. A restarted
/// server finds all of them. Any thread may use it.
class Runs {
 public:
  /// `root`: the canonical path of a folder; empty: there are no runs.
  explicit Runs(std::string root);
  ~Runs();

  const std::string& root() const { return root_; }
  /// The folder of a run. Throws a Refusal if there is no run of that name.
  std::string folder(const std::string& name) const;

  /// The answer to GET /v1/runs.
  nlohmann::ordered_json list();
  /// The answer to GET /v1/runs/NAME.
  nlohmann::ordered_json describe(const std::string& name);

  /// Starts the training that a body of POST /v1/runs describes, or only checks the body. Throws a Refusal with the
  /// error message of `gan train`.
  nlohmann::ordered_json start(const nlohmann::ordered_json& body);
  void stop(const std::string& name);
  void resume(const std::string& name, const nlohmann::ordered_json& body);

  /// The events of a run after the one whose id is `last_id`; if that is empty, from the first step above `after`.
  std::shared_ptr<EventSource> events(const std::string& name, const std::string& last_id, std::int64_t after);
  /// One event for each change of any run.
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
  std::map<std::string, std::pair<std::string, nlohmann::ordered_json>> cards_;  // by name: fingerprint, summary
  std::map<std::string, Process> started_;
  std::set<std::string> beginning_;  // being started or resumed, not yet in `started_`
  // A thread looks for changes while clients listen.
  std::atomic<std::uint64_t> version_ = 0;
  std::atomic<std::int64_t> asked_ = 0;  // when a listener last asked, in milliseconds of the steady clock
  std::mutex watch_mutex_;
  std::condition_variable watch_changed_;
  bool ending_ = false;
  std::jthread watcher_;
  friend class ListEvents;
};

}  // namespace gan::serve
