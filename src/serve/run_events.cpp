#include "serve/run_events.h"

#include <fmt/core.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <set>

#include "base/error.h"
#include "runs/files.h"
#include "runs/report_data.h"
#include "serve/access.h"
#include "serve/run_state.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Clock = std::chrono::steady_clock;

namespace {

constexpr std::size_t kFileBytesAtOnce = 128 << 10;  // that are read at a time
constexpr auto kStatePause = std::chrono::milliseconds(500);

class RunEvents : public EventSource {
 public:
  RunEvents(std::string folder, std::string root, std::string url, const std::string& last_id, std::int64_t after)
      : folder_(std::move(folder)),
        root_(std::move(root)),
        url_(std::move(url)),
        config_(train::read_run_config((fs::path(folder_) / "config.toml").string())),
        after_(after) {
    long long metrics = 0, scores = 0, picture = -1;
    if (std::sscanf(last_id.c_str(), "%lld.%lld.%lld", &metrics, &scores, &picture) == 3 && metrics >= 0 &&
        scores >= 0) {
      metrics_ = static_cast<std::uint64_t>(metrics);
      scores_ = static_cast<std::uint64_t>(scores);
      picture_ = picture;
      after_ = -1;
    }
    evaluated_ = time_of("eval/eval.json");
    configured_ = time_of("config.toml");
  }

  bool next(std::string& out) override {
    read_lines(
        "metrics.jsonl", metrics_,
        [&](const std::string& line, const Json& json) {
          event(out, "metrics", line);
          const Json warnings = json.value("watch.warnings", Json());
          for (const Json& text : warnings.is_array() ? warnings : Json::array())
            if (text.is_string()) event(out, "warning", Json{{"step", json["step"]}, {"text", text}}.dump());
        },
        out);
    read_lines(
        "scores.jsonl", scores_, [&](const std::string& line, const Json&) { event(out, "score", line); }, out);
    if (Clock::now() < looked_ + kStatePause) return true;
    looked_ = Clock::now();
    for (const std::int64_t step : runs::picture_steps((fs::path(folder_) / "samples").string())) {
      if (step <= picture_ || step <= after_) continue;
      picture_ = step;
      event(out, "picture", Json{{"step", step}, {"url", fmt::format("{}/pictures/{}.png", url_, step)}}.dump());
    }
    std::error_code gone;
    if (!fs::is_directory(folder_, gone)) return false;
    // When a run is resumed, its length may change.
    if (const auto time = time_of("config.toml"); time != configured_) try {
        config_ = train::read_run_config((fs::path(folder_) / "config.toml").string());
        configured_ = time;
      } catch (const base::Error&) {  // it is being written
      }
    if (const RunState now = state_of(folder_, config_); now.state != state_) {
      state_ = now.state;
      event(out, "state",
            Json{{"state", state_}, {"error", now.error.empty() ? Json() : Json(without_paths(now.error, root_))}}.dump(
                -1, ' ', false, Json::error_handler_t::replace));
    }
    if (const auto time = time_of("eval/eval.json"); time != evaluated_) {
      evaluated_ = time;
      event(out, "evaluation", "{}");
    }
    return true;
  }

 private:
  fs::file_time_type time_of(const char* name) const {
    std::error_code ignored;
    const auto time = fs::last_write_time(fs::path(folder_) / name, ignored);
    return ignored ? fs::file_time_type::min() : time;
  }

  void event(std::string& out, const char* name, const std::string& data) const {
    out += fmt::format("id: {}.{}.{}\nevent: {}\ndata: {}\n\n", metrics_, scores_, picture_, name, data);
  }

  /// Calls found(line, its JSON) for each complete line after the offset `at`, and advances `at`.
  template <typename Found>
  void read_lines(const char* name, std::uint64_t& at, const Found& found, std::string& out) {
    const fs::path path = fs::path(folder_) / name;
    std::error_code none;
    const std::uintmax_t size = fs::file_size(path, none);
    if (none || size == at || !fs::is_regular_file(path, none)) return;
    if (size < at) {  // the run went back to an earlier step, and later lines were removed
      metrics_ = scores_ = 0;
      picture_ = after_ = -1;
      event(out, "reset", "{}");
      return;
    }
    std::ifstream file(path, std::ios::binary);
    file.seekg(static_cast<std::streamoff>(at));
    std::string text(std::min<std::uintmax_t>(size - at, kFileBytesAtOnce), '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(std::max<std::streamsize>(file.gcount(), 0)));
    if (text.size() == kFileBytesAtOnce && text.find('\n') == std::string::npos)
      at += text.size();  // skips a line too long
    for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
      const std::string line = text.substr(begin, end - begin);
      at += line.size() + 1;
      const std::optional<Json> json = runs::parse_json(line);
      if (!json || !json->is_object() || !json->contains("step") || !(*json)["step"].is_number_integer()) continue;
      if ((*json)["step"].get<std::int64_t>() > after_)
        found(json->dump(-1, ' ', true, Json::error_handler_t::replace), *json);
    }
  }

  const std::string folder_, root_, url_;
  train::Config config_;
  std::uint64_t metrics_ = 0, scores_ = 0;  // offsets up to which the files were read
  std::int64_t picture_ = -1, after_ = -1;  // step of the last picture that was sent; last step that the client has
  std::string state_;
  fs::file_time_type evaluated_, configured_;
  Clock::time_point looked_{};
};

}  // namespace

std::shared_ptr<EventSource> run_events(const std::string& folder, const std::string& root, const std::string& url,
                                        const std::string& last_id, std::int64_t after) {
  return std::make_shared<RunEvents>(folder, root, url, last_id, after);
}

}  // namespace gan::serve
