#pragma once

#include <array>
#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <string>

#include "serve/jobs.h"
#include "serve/neighbours.h"
#include "serve/server.h"
#include "serve/workers.h"

namespace gan::serve {

/// Collects lines for standard error, which flush() writes several times a second: a system call for each would cost as
/// much as the answer.
class Log {
 public:
  void add(const std::string& line);
  void flush();

 private:
  std::mutex mutex_;
  std::string text_;
};

/// Everything that the routes work with. The order of members matters, since they are destroyed from the last to the
/// first: workers and drawer, whose replies need the connections; then the connections, whose streams need the runs.
struct Server::Services {
  explicit Services(const ServerOptions& options);

  ServerOptions options;
  Access access;
  Models models;
  Runs runs;
  Jobs jobs;
  Neighbours neighbours;
  Log log;
  std::atomic<bool> ready = false;
  std::array<std::atomic<std::uint64_t>, 6> answers = {};  ///< number by first digit of the status
  std::atomic<std::uint64_t> refused = 0;                  ///< number of answers with status 429
  std::atomic<std::uint64_t> microseconds = 0;             ///< total time of all answers
  std::unique_ptr<HttpServer> http;
  std::unique_ptr<Drawer> drawer;
  std::unique_ptr<Workers> workers;
};

/// A request on its way through a route.
struct Call {
  std::shared_ptr<const Request> request;
  Reply reply;
  std::map<std::string, std::string> parts = {};  ///< values of the form's {name} in the path
  std::map<std::string, std::string> query = {};
  nlohmann::ordered_json body = {};  ///< of a POST, an object
};

/// The thread on which a route's function runs.
enum class Place {
  connections,  ///< on the thread of all connections: the function must be quick
  workers,      ///< on a thread of the pool: the function may read files and wait
};

struct Route {
  const char *method, *path, *summary;
  Place place;
  bool changes;  ///< whether read-only servers refuse it
  /// Returns the answer, or nothing if the function replies itself, now or later. Throws Refusals and base::Errors.
  std::optional<Response> (*handle)(Server::Services&, Call&);
  const char* body = nullptr;  ///< the JSON schema of the body
  const char* answer = "application/json";
};

/// Every route of the API, in the order of /openapi.json.
std::span<const Route> routes();

/// The answer to a request whose route has thrown an exception.
Response answer_of(const Server::Services& services, const std::exception_ptr& thrown);

/// Checks a request by its header alone (Host, Origin, key, method). Returns an error to send, or nothing if its body
/// should be read.
std::optional<Response> refusal_of(const Server::Services& services, const Request& request);
/// Answers a request: finds its route, checks access and runs it.
void dispatch(Server::Services& services, const std::shared_ptr<const Request>& request, const Reply& reply);

}  // namespace gan::serve
