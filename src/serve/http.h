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

/// A request as it came; header names do not depend on case.
struct Request {
  std::string method, target;  ///< "GET", "/v1/runs/a%2Fb?x=1"
  std::vector<std::pair<std::string, std::string>> headers = {};
  std::string body = {};

  /// The value of a header; empty if there is none.
  std::string_view header(std::string_view name) const;
};

struct Response {
  int status = 200;
  std::string type = "application/json", body = {};
  std::string file = {};  ///< sent in place of the body, as it is read
  std::vector<std::pair<std::string, std::string>> headers = {};
};

/// A source of server-sent events for a client that listens.
class EventSource {
 public:
  virtual ~EventSource() = default;
  /// Appends what there is to send now to `out`, which may be nothing. False: there will be no more. It is called on
  /// the thread of all connections, several times a second, and must not wait.
  virtual bool next(std::string& out) = 0;
};

class Session;

/// The way back to a client. One of the functions is called once, on any thread.
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
  int connections = 512;           ///< at once; others are answered with 429
  int streams = 64;                ///< connections that listen to events; others are answered with 429
  std::uint64_t body = 8 << 20;    ///< the largest body of a request, in bytes
  std::uint64_t held = 256 << 20;  ///< bytes of all requests and answers on their way; others are answered with 503
  int idle_seconds = 30;           ///< for which a connection may stay without a request
  int transfer_seconds = 30;       ///< for a request, or a piece of an answer, to come through
};

/// An HTTP/1.1 server: one thread, whatever the number of connections, that reads requests, hands them to `handle` and
/// writes what is replied.
class HttpServer {
 public:
  /// Called before a large body is read; an answer that it returns is sent instead of reading it. It runs on the
  /// server's thread and must not wait or throw.
  using Check = std::function<std::optional<Response>(const Request&)>;
  /// Called on the server's thread; it must not wait and not throw.
  using Handle = std::function<void(const std::shared_ptr<const Request>&, const Reply&)>;
  /// Called when an answer has been written or could not be (status 499), and when a stream begins.
  using Done = std::function<void(const Request&, int status, std::uint64_t bytes, double seconds)>;

  /// Listens from now on; requests wait until run(). Throws a run error if the port is taken or the host is unknown.
  HttpServer(const HttpOptions& options, Check check, Handle handle, Done done);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  int port() const;
  /// Open connections, and those of them that listen to events.
  std::pair<int, int> connections() const;
  /// Serves until stop() was called and the requests that were read by then are answered, or `grace_seconds` have
  /// passed since.
  void run(double grace_seconds = 30);
  /// Takes no more requests. May be called on any thread.
  void stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
  friend class Session;
};

/// The text that a part of a URL encodes ("a%2Fb" is "a/b"); `plus_is_space` for queries. False for broken encodings
/// and zero bytes.
bool decode_url(std::string_view encoded, std::string& decoded, bool plus_is_space = false);
std::string encode_url(std::string_view text);

}  // namespace gan::serve
