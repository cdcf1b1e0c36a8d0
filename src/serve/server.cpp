#include "serve/server.h"

#include <fmt/core.h>
#include <malloc.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <ctime>
#include <exception>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/parallel.h"
#include "serve/routes.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

namespace {

constexpr int kWorkers = 8;                        // some may wait for trainings to begin
constexpr std::size_t kMostRequestsWaiting = 128;  // most requests that wait for workers
constexpr double kGraceSeconds = 30;               // for answers when the server ends

ServerOptions completed(ServerOptions options) {
  if (!is_loopback(options.host) && options.key.empty())
    base::fail_usage("--host {}: other machines could reach the server; give --api-key FILE, or listen on 127.0.0.1",
                     options.host);
  if (options.port < 0 || options.port > 65535) base::fail_usage("--port {}: expected 0 to 65535", options.port);
  if (options.models.empty() && options.root.empty())
    base::fail_usage("nothing to serve: give models, or --root DIR with runs");
  for (const std::string& file : options.models)
    if (!fs::exists(file)) base::fail_data("{}: no such file or folder", file);
  if (!options.root.empty()) {
    if (!fs::is_directory(options.root)) base::fail_usage("--root {}: no such folder", options.root);
    options.root = fs::canonical(options.root).string();
  }
  if (options.threads == 0) options.threads = std::max(base::processors() - 1, 1);
  options.http.host = options.host;
  options.http.port = options.port;
  return options;
}

/// Raises the limit of open files, and so of connections, to the most that the system allows.
void allow_files() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// Keeps freed memory for the next request, which needs as much: even a small PNG takes a quarter of a megabyte, which
/// would otherwise be requested from the system and returned each time.
void keep_memory() {
#ifdef __GLIBC__
  ::mallopt(M_MMAP_THRESHOLD, 4 << 20);
  ::mallopt(M_TRIM_THRESHOLD, 64 << 20);
  ::mallopt(M_TOP_PAD, 1 << 20);
#endif
}

/// "2026-01-31T12:34:56.789Z"
std::string time_text() {
  const auto now = std::chrono::system_clock::now();
  const std::time_t whole = std::chrono::system_clock::to_time_t(now);
  std::tm utc{};
  ::gmtime_r(&whole, &utc);
  char text[32];
  std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &utc);
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now.time_since_epoch()).count();
  return fmt::format("{}.{:03}Z", text, since % 1000);
}

/// A line of the log, in JSON.
std::string log_line(const Request& request, int status, std::uint64_t bytes, double seconds) {
  std::string path = request.target.substr(0, request.target.find('?'));  // queries may hold a key
  path.resize(std::min<std::size_t>(path.size(), 500));
  return fmt::format(R"({{"time":"{}","method":{},"path":{},"status":{},"bytes":{},"ms":{:.2f}}})"
                     "\n",
                     time_text(), Json(request.method).dump(-1, ' ', true, Json::error_handler_t::replace),
                     Json(path).dump(-1, ' ', true, Json::error_handler_t::replace), status, bytes, 1000 * seconds);
}

void open_given(Models& models, const std::string& file) {
  try {
    models.open(Models::name_of(file));
  } catch (const Refusal& refusal) {
    base::fail_data("{}: {}", file, refusal.message);
  }
}

}  // namespace

void Log::add(const std::string& line) {
  const std::scoped_lock lock(mutex_);
  text_ += line;
}

void Log::flush() {
  std::string text;
  {
    const std::scoped_lock lock(mutex_);
    text.swap(text_);
  }
  std::fwrite(text.data(), 1, text.size(), stderr);  // the server goes on if the log cannot be written
}

Server::Services::Services(const ServerOptions& given)
    : options(completed(given)),
      access{.host = options.host, .hosts = options.allow_hosts, .key = options.key, .read_only = options.read_only},
      models(options.models, options.root, options.precision, options.backend),
      runs(options.root),
      jobs(models, runs) {
  allow_files();
  keep_memory();
  http = std::make_unique<HttpServer>(
      options.http, [this](const Request& request) { return refusal_of(*this, request); },
      [this](const auto& request, const Reply& reply) { dispatch(*this, request, reply); },
      [this](const Request& request, int status, std::uint64_t bytes, double seconds) {
        ++answers[static_cast<std::size_t>(std::clamp(status / 100, 0, 5))];
        if (status == 429) ++refused;
        microseconds += static_cast<std::uint64_t>(1e6 * seconds);
        if (options.log) log.add(log_line(request, status, bytes, seconds));
      });
  drawer = std::make_unique<Drawer>(options.limits, options.threads);
  workers = std::make_unique<Workers>(kWorkers, kMostRequestsWaiting);
}

Server::Server(const ServerOptions& options) : services_(std::make_unique<Services>(options)) {}

Server::~Server() = default;

std::string Server::url() const {
  const std::string& host = services_->options.host;
  return fmt::format("http://{}:{}/", host.find(':') == std::string::npos ? host : "[" + host + "]",
                     services_->http->port());
}

void Server::run() {
  std::signal(SIGPIPE, SIG_IGN);  // raised by writing to a log whose reader has gone
  std::exception_ptr failure;
  std::jthread connections([&] { services_->http->run(kGraceSeconds); });
  try {
    for (const std::string& file : services_->options.models) open_given(services_->models, file);
    services_->ready = true;
    while (!base::is_interrupted()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(50));
      services_->log.flush();
    }
  } catch (...) {
    failure = std::current_exception();
  }
  services_->http->stop();
  connections.join();
  services_->log.flush();
  if (failure) std::rethrow_exception(failure);
}

}  // namespace gan::serve
