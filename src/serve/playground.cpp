#include "serve/playground.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <nlohmann/json.hpp>

#include "serve/access.h"
#include "serve/process.h"

namespace gan::serve {
namespace {

constexpr int kMostPlaygrounds = 2;  // playgrounds at once
constexpr std::size_t kReadAtOnce = 256 << 10;

std::atomic<int> playing = 0;

class Frames : public EventSource {
 public:
  Frames(const std::vector<std::string>& arguments, std::string root)
      : root_(std::move(root)), process_(arguments, pipe_) {
    ++playing;
  }
  ~Frames() override {
    process_.kill();
    while (process_.running()) ::usleep(1000);  // SIGKILL cannot be ignored, so the wait is short
    ::close(pipe_);
    --playing;
  }

  bool next(std::string& out) override {
    const std::size_t before = text_.size();
    text_.resize(before + kReadAtOnce);
    const ssize_t count = ::read(pipe_, text_.data() + before, kReadAtOnce);
    const bool waits = count < 0 && (errno == EAGAIN || errno == EINTR);
    text_.resize(before + static_cast<std::size_t>(std::max<ssize_t>(count, 0)));
    std::size_t begin = 0;
    for (std::size_t end; (end = text_.find('\n', begin)) != std::string::npos; begin = end + 1) {
      if (text_[begin] == '{')
        ((out += "event: frame\ndata: ").append(text_, begin, end - begin)) += "\n\n";
      else
        said_ = text_.substr(begin, end - begin);
    }
    text_.erase(0, begin);
    if (waits || count > 0) return true;
    const std::string error = without_paths(said_.starts_with("gan: ") ? said_.substr(5) : said_, root_);
    out += "event: end\ndata: " +
           nlohmann::json{{"error", error.empty() ? nlohmann::json() : nlohmann::json(error)}}.dump(
               -1, ' ', true, nlohmann::json::error_handler_t::replace) +
           "\n\n";
    return false;
  }

 private:
  const std::string root_;
  int pipe_ = -1;
  Process process_;
  std::string text_, said_;  // the incomplete last line; the last line that is no frame, such as an error
};

}  // namespace

std::shared_ptr<EventSource> playground(const std::map<std::string, std::string>& query, const std::string& root) {
  std::vector<std::string> arguments = {"playground"};
  for (const auto& [key, value] : query) {
    if (key == "points") {
      if (root.empty()) throw Refusal{404, "this server has no root"};
      arguments.insert(arguments.end(), {"--data", path_below(root, value)});
    } else if (key == "data") {
      if (value != "ring8" && value != "grid25" && value != "circle")
        throw Refusal{400, "data: expected ring8, grid25 or circle; points names a file below the root", "data"};
      arguments.insert(arguments.end(), {"--data", value});
    } else if (key == "loss" || key == "seed" || key == "steps" || key == "every") {
      // As one argument, so that a value cannot be taken for an option.
      arguments.push_back("--" + key + "=" + value);
    } else {
      throw Refusal{400, "there is no field of that name: " + key.substr(0, 60), key};
    }
  }
  if (playing >= kMostPlaygrounds) throw Refusal{429, "too many playgrounds run", "", 5};
  return std::make_shared<Frames>(arguments, root);
}

}  // namespace gan::serve
