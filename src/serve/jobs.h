#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "base/file.h"
#include "serve/models.h"
#include "serve/process.h"
#include "serve/runs.h"

namespace gan::serve {

/// Long work (large draws, evaluations): one job at a time, each in a process of its own. Any thread may use it.
class Jobs {
 public:
  Jobs(Models& models, Runs& runs);
  /// Ends the running job and removes the files of all jobs.
  ~Jobs();

  /// Adds the job that a body of POST /v1/jobs describes. Throws a Refusal if it is not valid.
  nlohmann::ordered_json add(const nlohmann::ordered_json& body);
  /// All jobs, in order of their ids.
  nlohmann::ordered_json list();
  /// One job. Throws a Refusal (404) for an unknown id, as the functions below do.
  nlohmann::ordered_json describe(const std::string& id);
  /// Ends a waiting or running job. Throws a Refusal (409) if it has ended.
  void cancel(const std::string& id);
  /// The path of the file that a job has made, and its media type. Throws a Refusal if there is none.
  std::pair<std::string, std::string> result(const std::string& id);

 private:
  struct Job {
    std::string id, kind, state = "waiting", message = {}, run = {};
    std::vector<std::string> arguments = {};
    std::string output, result = {}, type = {};  // paths of log and result, media type of the result
    Process process = {};
  };
  void work();
  void end(const std::string& id);
  nlohmann::ordered_json json_of(const Job& job) const;
  Job& find(const std::string& id);

  Models& models_;
  Runs& runs_;
  std::mutex mutex_;
  struct ByNumber {
    bool operator()(const std::string& a, const std::string& b) const {
      return a.size() != b.size() ? a.size() < b.size() : a < b;
    }
  };
  std::map<std::string, Job, ByNumber> jobs_;  // by id
  std::deque<std::string> waiting_;
  std::deque<std::string> done_;
  std::string folder_;                    // of the jobs' files
  std::optional<base::FolderLock> lock_;  // keeps other servers from removing folder_
  std::uint64_t next_ = 1;
  bool ending_ = false;
  std::jthread thread_;
};

}  // namespace gan::serve
