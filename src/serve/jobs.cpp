#include "serve/jobs.h"

#include <fmt/core.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "draw/plan.h"
#include "serve/access.h"
#include "serve/run_state.h"
#include "serve/sampling.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kMostJobsWaiting = 16, kMostJobsKept = 32;
constexpr std::int64_t kMostJobSamples = 1'000'000;
constexpr std::string_view kJobFolderPrefix = "gan-jobs-";  // how the names of the folders of jobs' files begin

struct Format {
  const char *name, *type;
};
constexpr Format kJobFormats[] = {{"npz", "application/x-npz"},
                                  {"npy", "application/x-npy"},
                                  {"csv", "text/csv"},
                                  {"zip", "application/zip"},
                                  {"png", "image/png"}};

/// Parses the progress, from 0 to 1, in a line of a job's output ("   40%  of 10,000 samples"); null without one.
Json share_in(const std::string& line) {
  const std::size_t start = line.find_first_not_of(' '), end = line.find('%');
  if (start == std::string::npos || end == std::string::npos) return {};
  const std::optional<double> percent = base::parse_number<double>(line.substr(start, end - start));
  return percent ? Json(std::clamp(*percent / 100, 0.0, 1.0)) : Json();
}

/// Removes the folders of killed servers: those older than an hour that no server has locked.
void remove_leftovers() {
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(fs::temp_directory_path(), ignored)) {
    const bool old = fs::file_time_type::clock::now() - entry.last_write_time(ignored) > std::chrono::hours(1);
    if (!entry.path().filename().string().starts_with(kJobFolderPrefix) || !old) continue;
    try {
      const base::FolderLock lock(entry.path().string());
      fs::remove_all(entry.path(), ignored);
    } catch (const base::Error&) {  // a server uses it
    }
  }
}

}  // namespace

Jobs::Jobs(Models& models, Runs& runs) : models_(models), runs_(runs) {
  remove_leftovers();
  std::string name = (fs::temp_directory_path() / (std::string(kJobFolderPrefix) + "XXXXXX")).string();
  if (!::mkdtemp(name.data())) base::fail_data("{}: no folder can be made for the results of jobs", name);
  folder_ = name;
  lock_.emplace(folder_);
  thread_ = std::jthread([this] { work(); });
}

Jobs::~Jobs() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  thread_.join();
  for (auto& [id, job] : jobs_) job.process.interrupt();
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

Json Jobs::add(const Json& body) {
  const Json kind = body.value("kind", Json());
  Job job;
  if (kind == "evaluate") {
    const Json run = body.value("run", Json());
    if (!run.is_string()) throw Refusal{400, "run: expected the name of a run", "run"};
    job.run = run.get<std::string>();
    const std::string folder = runs_.folder(job.run);
    job.arguments = {"eval", folder, "--out", (fs::path(folder) / "eval").string()};
  } else if (kind == "sample") {
    Json request = body;
    request.erase("kind");
    request.erase("format");
    const auto opened = models_.open(model_of(request));
    std::vector<float> noise;
    const draw::SampleOptions options = sample_options(request, opened->model, noise, {});
    if (!noise.empty()) throw Refusal{400, "latents: a job draws those of its seed", "latents"};
    const std::int64_t total = draw::make_sample_plan(options, opened->model, 0).total;
    if (total > kMostJobSamples)
      throw Refusal{413, fmt::format("count: a job may have {} samples", base::grouped(kMostJobSamples)), "count"};
    const Json wanted = body.value("format", Json("npz"));
    const auto format = std::ranges::find_if(kJobFormats, [&](const Format& each) { return wanted == each.name; });
    if (format == std::end(kJobFormats)) throw Refusal{400, "format: expected npz, npy, csv, zip or png", "format"};
    job.type = format->type;
    job.arguments = {"sample",
                     opened->path,
                     "--progress",
                     "--precision",
                     opened->precision,
                     "--format",
                     format->name,
                     "--seed",
                     std::to_string(options.seed),
                     "--first",
                     std::to_string(options.first),
                     "--count",
                     std::to_string(options.count)};
    for (const std::string& condition : options.conditions)
      job.arguments.insert(job.arguments.end(), {"--condition", condition});
    if (options.same_latents) job.arguments.emplace_back("--same-latents");
    if (options.truncation > 0)
      job.arguments.insert(job.arguments.end(), {"--truncation", fmt::format("{}", options.truncation)});
  } else {
    throw Refusal{400, "kind: expected sample or evaluate", "kind"};
  }
  job.kind = kind.get<std::string>();
  const std::scoped_lock lock(mutex_);
  if (waiting_.size() >= kMostJobsWaiting) throw Refusal{429, "too many jobs wait", "", 10};
  job.id = std::to_string(next_++);
  job.output = (fs::path(folder_) / (job.id + ".log")).string();
  if (job.kind == "sample") {
    job.result = (fs::path(folder_) / (job.id + "." + body.value("format", "npz"))).string();
    job.arguments.insert(job.arguments.end(), {"--out", job.result});
  }
  waiting_.push_back(job.id);
  const std::string id = job.id;
  return json_of(jobs_.emplace(id, std::move(job)).first->second);
}

void Jobs::work() {
  std::string running;
  for (;;) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    const std::scoped_lock lock(mutex_);
    if (ending_) return;
    if (!running.empty()) {
      Job& job = jobs_.at(running);
      if (job.process.running()) continue;
      if (job.state == "running") job.state = job.process.code() == 0 ? "done" : "failed";
      job.message = job.state == "failed" ? without_paths(last_line(job.output), runs_.root()) : "";
      end(running);
      running.clear();
    }
    if (waiting_.empty()) continue;
    Job& job = jobs_.at(waiting_.front());
    waiting_.pop_front();
    try {
      job.process = Process(job.arguments, job.output);
      job.state = "running";
      running = job.id;
    } catch (const base::Error& error) {
      job.state = "failed";
      job.message = without_paths(error.what(), runs_.root());
      end(job.id);
    }
  }
}

/// Adds a job to those that have ended, and forgets the oldest of these beyond kMostKept.
void Jobs::end(const std::string& id) {
  done_.push_back(id);
  for (; done_.size() > kMostJobsKept; done_.pop_front()) {
    std::error_code ignored;
    const Job& old = jobs_.at(done_.front());
    for (const std::string& file : {old.output, old.result}) fs::remove(file, ignored);
    jobs_.erase(done_.front());
  }
}

Json Jobs::json_of(const Job& job) const {
  const auto place = std::ranges::find(waiting_, job.id);
  std::string message = job.message;
  Json progress = job.state == "done" ? Json(1) : Json();
  if (job.state == "running") {
    message = without_paths(last_line(job.output), runs_.root());
    progress = share_in(message);
  }
  const bool has_result = job.state == "done" && !job.result.empty();
  return {{"id", job.id},
          {"kind", job.kind},
          {"run", job.run.empty() ? Json() : Json(job.run)},
          {"state", job.state},
          {"position", place == waiting_.end() ? Json() : Json(place - waiting_.begin() + 1)},
          {"progress", progress},
          {"message", message},
          {"result", has_result ? Json("/v1/jobs/" + job.id + "/result") : Json()}};
}

Jobs::Job& Jobs::find(const std::string& id) {
  const auto found = jobs_.find(id);
  if (found == jobs_.end()) throw Refusal{404, "there is no job of that number"};
  return found->second;
}

Json Jobs::list() {
  const std::scoped_lock lock(mutex_);
  Json all = Json::array();
  for (const auto& [id, job] : jobs_) all.push_back(json_of(job));
  return all;
}

Json Jobs::describe(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  return json_of(find(id));
}

void Jobs::cancel(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  Job& job = find(id);
  if (job.state != "waiting" && job.state != "running") throw Refusal{409, "the job has ended"};
  job.state = "cancelled";
  job.process.interrupt();
  if (std::erase(waiting_, id) > 0) end(id);
}

std::pair<std::string, std::string> Jobs::result(const std::string& id) {
  const std::scoped_lock lock(mutex_);
  const Job& job = find(id);
  if (job.state != "done" || job.result.empty()) throw Refusal{409, "the job has no result"};
  return {job.result, job.type};
}

}  // namespace gan::serve
