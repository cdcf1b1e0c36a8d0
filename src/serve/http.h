#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace gan::serve {

/// A request as received.
struct Request {
  std::string method, target;  ///< "GET", "/v1/runs/a%2Fb?x=1"
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};

  /// The value of a header, whose name may be in any case; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string type = "application/json", body = {};
  std::string file = {};  ///< path of a file whose content is sent in place of `body`
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// A source of server-sent events for a client that listens.
class EventSource {
 public:
  virtual ~EventSource() = default;
  /// Appends the events that are due, if any, to `out`. Returns false at the end of the stream. Is called several times
  /// a second on the thread of all connections, so it must not block.
  virtual bool next(std::string& out) = 0;
};

class Session;

/// Answers one request. Exactly one of the functions must be called, once, on any thread.
class Reply {
 public:
  explicit Reply(std::shared_ptr<Session> session) : session_(std::move(session)) {}
  void send(Response response) const;
  void stream(std::shared_ptr<EventSource> source) const;

 private:
  std::shared_ptr<Session> session_;
};

struct HttpOptions {
  std::string host = "127.0.0.1";
  int port = 0;                    ///< 0: any free one
  int connections = 512;           ///< most at once; further ones are answered with 429
  int streams = 64;                ///< most event streams at once; further ones are answered with 429
  std::uint64_t body = 8 << 20;    ///< the largest body of a request, in bytes
  std::uint64_t held = 256 << 20;  ///< most bytes of all requests and answers in memory; beyond, 503 is answered
  int idle_seconds = 30;           ///< longest pause of a connection between requests
  int transfer_seconds = 30;       ///< longest time to read a request or to send a piece of an answer
};

/// An HTTP/1.1 server. One thread, whatever the number of connections, reads requests, passes them to `handle` and
/// writes the answers.
class HttpServer {
 public:
  /// Called before a large body is read. If it returns an answer, that is sent and the body is not read. Runs on the
  /// server's thread and must not block or throw.
  using Check = std::function<std::optional<Response>(const Request&)>;
  /// Runs on the server's thread and must not block or throw.
  using Handle = std::function<void(const std::shared_ptr<const Request>&, const Reply&)>;
  /// Called when an answer has been written, when writing it failed (status 499), and when a stream begins.
  using Done = std::function<void(const Request&, int status, std::uint64_t bytes, double seconds)>;

  /// Starts to listen; requests wait until run(). Throws a run error if the port is taken or the host is unknown.
  HttpServer(const HttpOptions& options, Check check, Handle handle, Done done);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  /// The number of open connections, and of event streams among them.
  std::pair<int, int> connections() const;
  /// Serves until stop() is called and all requests read before are answered, or `grace_seconds` have passed since.
  void run(double grace_seconds = 30);
  /// Makes the server accept no more requests. May be called on any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
  friend class Session;
};

/// Decodes a part of a URL ("a%2Fb" to "a/b"), with `plus_is_space` as in queries. Returns false for broken encodings
/// and zero bytes.
bool decode_url(std::string_view encoded, std::string& decoded, bool plus_is_space = false);
std::string encode_url(std::string_view text);

}  // namespace gan::serve
