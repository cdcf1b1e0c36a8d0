#include "serve/http.h"

#include <algorithm>
#include <atomic>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/http/file_body.hpp>
#include <cctype>
#include <chrono>
#include <optional>
#include <set>

#include "base/error.h"

namespace gan::serve {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = boost::beast::http;
using Tcp = asio::ip::tcp;
using Clock = std::chrono::steady_clock;

namespace {

constexpr auto kStreamPause = std::chrono::milliseconds(200);  // between two polls of an event source
constexpr auto kStreamBeat = std::chrono::seconds(15);         // of silence before a comment tests the connection
constexpr std::uint32_t kMostHeaderBytes = 16 << 10;
constexpr int kBacklog = 1024;
// In bytes. Access is checked before a larger body is read, and larger answers count as memory in use.
constexpr std::uint64_t kSmallBody = 64 << 10;

bool same_name(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

std::string_view to_view(beast::string_view text) { return {text.data(), text.size()}; }

std::string error_json(std::string_view text) { return "{\"error\":\"" + std::string(text) + "\"}"; }

int status_of(beast::error_code error) {
  if (error == http::error::body_limit) return 413;
  return error == http::error::header_limit ? 431 : 400;
}

}  // namespace

struct HttpServer::State {
  State(const HttpOptions& o, Check c, Handle h, Done d)
      : options(o), check(std::move(c)), handle(std::move(h)), done(std::move(d)), acceptor(context), timer(context) {}

  void accept();
  void end_when_idle();

  HttpOptions options;
  Check check;
  Handle handle;
  Done done;
  std::set<Session*> sessions;  // existing ones; declared before the context, whose destructor may end some
  std::atomic<int> open = 0, streams = 0;
  std::uint64_t held = 0;  // bytes of bodies and answers
  asio::io_context context{1};
  Tcp::acceptor acceptor;
  asio::steady_timer timer;  // between two looks whether run() can end
  double grace_seconds = 0;
  Clock::time_point end{};
  bool stopping = false;
};

/// A connection. Its functions run on the server's thread.
class Session : public std::enable_shared_from_this<Session> {
 public:
  Session(Tcp::socket socket, HttpServer::State& server)
      : stream_(std::move(socket)), timer_(stream_.get_executor()), server_(server) {
    server_.sessions.insert(this);
    server_.open = static_cast<int>(server_.sessions.size());
  }
  ~Session() {
    server_.sessions.erase(this);
    server_.open = static_cast<int>(server_.sessions.size());
    if (source_) --server_.streams;
    hold(0);
  }

  void read() {
    if (server_.stopping) return close();
    busy_ = false;
    parser_.emplace();
    parser_->header_limit(kMostHeaderBytes);
    parser_->body_limit(server_.options.body);
    hold(0);
    stream_.expires_after(std::chrono::seconds(server_.options.idle_seconds));
    http::async_read_header(stream_, buffer_, *parser_,
                            [self = shared_from_this()](beast::error_code error, std::size_t) {
                              if (error) return self->refuse(error);
                              self->read_body();
                            });
  }

  /// Answers without reading a request, and closes.
  void turn_away() {
    begin_request({});
    keep_ = false;
    write({.status = 429, .body = error_json("too many connections"), .headers = {{"Retry-After", "1"}}});
  }

  void respond(Response response) {
    asio::post(stream_.get_executor(), [self = shared_from_this(), response = std::move(response)]() mutable {
      self->write(std::move(response));
    });
  }

  void start_stream(std::shared_ptr<EventSource> source) {
    asio::post(stream_.get_executor(), [self = shared_from_this(), source = std::move(source)]() mutable {
      if (self->server_.streams >= self->server_.options.streams)
        return self->write(
            {.status = 429, .body = error_json("too many event streams"), .headers = {{"Retry-After", "5"}}});
      self->source_ = std::move(source);
      ++self->server_.streams;
      self->begin_stream();
    });
  }

  /// Closes an idle connection or an event stream; an answer that is being written is completed.
  void stop() {
    if (source_ || !busy_) close();
  }

 private:
  /// Counts `bytes` for the body or answer that this connection holds. False if all connections would hold too much.
  bool hold(std::uint64_t bytes) {
    if (bytes > held_ && server_.held - held_ + bytes > server_.options.held) return false;
    server_.held += bytes - held_;
    held_ = bytes;
    return true;
  }

  void read_body() {
    const auto length = parser_->content_length();
    const std::uint64_t bytes = length ? *length : parser_->chunked() ? server_.options.body : 0;
    // Only clients with access may make the server hold a large body.
    if (bytes > kSmallBody) {
      begin_request(parser_->get());
      keep_ = false;
      if (std::optional<Response> refusal = server_.check(*request_)) return write(std::move(*refusal));
    }
    if (!hold(bytes)) {
      begin_request(parser_->get());
      keep_ = false;
      return write({.status = 503, .body = error_json("too much is being sent"), .headers = {{"Retry-After", "1"}}});
    }
    stream_.expires_after(std::chrono::seconds(server_.options.transfer_seconds));
    if (same_name(to_view(parser_->get()[http::field::expect]), "100-continue")) {
      head_ = "HTTP/1.1 100 Continue\r\n\r\n";
      asio::async_write(stream_, asio::buffer(head_),
                        [self = shared_from_this()](beast::error_code error, std::size_t) {
                          if (!error) self->read_rest();
                        });
      return;
    }
    read_rest();
  }

  void read_rest() {
    http::async_read(stream_, buffer_, *parser_, [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error) return self->refuse(error);
      self->dispatch();
    });
  }

  /// Sets request_ from the header that was read, without the body.
  std::shared_ptr<Request> begin_request(const http::request<http::string_body>& message) {
    sent_ = 0;
    started_ = Clock::now();
    auto request = std::make_shared<Request>();
    request->method = std::string(message.method_string());
    request->target = std::string(message.target());
    for (const auto& field : message)
      request->headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    request_ = request;
    return request;
  }

  void dispatch() {
    busy_ = true;
    auto message = parser_->release();
    keep_ = message.keep_alive();
    begin_request(message)->body = std::move(message.body());
    stream_.expires_never();
    server_.handle(request_, Reply(shared_from_this()));
  }

  /// Answers a malformed request. A client that has gone or sends nothing gets no answer.
  void refuse(beast::error_code error) {
    if (error.category() != http::make_error_code(http::error::bad_method).category() ||
        error == http::error::end_of_stream || error == http::error::partial_message)
      return close();
    begin_request({});
    keep_ = false;
    const int status = status_of(error);
    write({.status = status,
           .body = error_json(status == 413   ? "the body is too large"
                              : status == 431 ? "the header is too large"
                                              : "this is no HTTP request")});
  }

  void write(Response response) {
    const bool empty = response.status == 204 || response.status == 304, head = request_->method == "HEAD";
    std::optional<std::uint64_t> file_size;
    if (response.body.size() > kSmallBody && !hold(response.body.size()))
      response = {.status = 503, .body = error_json("too much is being sent"), .headers = {{"Retry-After", "1"}}};
    if (!response.file.empty()) {
      http::file_body::value_type file;
      beast::error_code error;
      file.open(response.file.c_str(), beast::file_mode::scan, error);
      if (!error && !head) {
        auto writing = start<http::file_body>(response, std::move(file));
        writing->message.prepare_payload();
        writing->serializer.emplace(writing->message);
        return send_some(writing);
      }
      if (error)
        response = {.status = 404, .body = error_json("there is no such file")};
      else
        file_size = file.size();
    }
    const std::uint64_t size = file_size.value_or(response.body.size());
    auto writing = start<http::string_body>(response, head ? std::string() : std::move(response.body));
    if (!empty) writing->message.content_length(size);
    writing->serializer.emplace(writing->message);
    send_some(writing);
  }

  /// A message that is written piece by piece.
  template <typename Body>
  struct Writing {
    http::response<Body> message;
    std::optional<http::response_serializer<Body>> serializer = {};  // made when the message is complete
  };

  template <typename Body>
  std::shared_ptr<Writing<Body>> start(const Response& response, typename Body::value_type&& body) {
    auto writing = std::make_shared<Writing<Body>>();
    auto& message = writing->message;
    message.version(11);
    message.result(static_cast<http::status>(response.status));
    if (response.status != 204 && response.status != 304) message.set(http::field::content_type, response.type);
    message.set("X-Content-Type-Options", "nosniff");
    for (const auto& [name, value] : response.headers) message.insert(name, value);
    message.keep_alive(keep_ && !server_.stopping);
    message.body() = std::move(body);
    return writing;
  }

  /// The time limit holds for each piece: a slow client gets its whole answer, a stalled one does not.
  template <typename Body>
  void send_some(const std::shared_ptr<Writing<Body>>& writing) {
    stream_.expires_after(std::chrono::seconds(server_.options.transfer_seconds));
    http::async_write_some(stream_, *writing->serializer,
                           [self = shared_from_this(), writing](beast::error_code error, std::size_t bytes) {
                             self->sent_ += bytes;
                             if (!error && !writing->serializer->is_done()) return self->send_some(writing);
                             self->report(error ? 499 : static_cast<int>(writing->message.result_int()), self->sent_);
                             if (error || !writing->message.keep_alive()) return self->close();
                             self->read();
                           });
  }

  void begin_stream() {
    head_ =
        "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n"
        "X-Content-Type-Options: nosniff\r\nConnection: close\r\n\r\nretry: 1000\n\n";
    report(200, 0);
    watch();
    send_piece();
  }

  /// Ends the stream when the client has gone. What the client still sends is ignored.
  void watch() {
    stream_.socket().async_wait(Tcp::socket::wait_read, [self = shared_from_this()](beast::error_code error) {
      if (error || self->ended_) return;
      char bytes[512];
      beast::error_code failed;
      if (self->stream_.socket().available(failed) == 0 || failed) return self->close();
      self->stream_.socket().read_some(asio::buffer(bytes), failed);
      failed ? self->close() : self->watch();
    });
  }

  /// Writes head_, then polls the source for more.
  void send_piece() {
    beat_ = Clock::now() + kStreamBeat;
    stream_.expires_after(std::chrono::seconds(server_.options.transfer_seconds));
    asio::async_write(stream_, asio::buffer(head_), [self = shared_from_this()](beast::error_code error, std::size_t) {
      if (error || self->ended_ || self->server_.stopping) return self->close();
      self->look();
    });
  }

  void look() {
    if (server_.stopping || ended_) return close();
    head_.clear();
    try {
      ended_ = !source_->next(head_);
    } catch (...) {  // such as a folder that has vanished
      ended_ = true;
    }
    if (head_.empty() && Clock::now() > beat_) head_ = ":\n\n";
    if (!head_.empty()) return send_piece();
    if (ended_) return close();
    stream_.expires_never();
    timer_.expires_after(kStreamPause);
    timer_.async_wait([self = shared_from_this()](beast::error_code error) {
      if (!error) self->look();
    });
  }

  void report(int status, std::uint64_t bytes) {
    server_.done(*request_, status, bytes, std::chrono::duration<double>(Clock::now() - started_).count());
  }

  void close() {
    ended_ = true;
    timer_.cancel();
    beast::error_code ignored;
    stream_.socket().shutdown(Tcp::socket::shutdown_both, ignored);
    stream_.close();
  }

  beast::tcp_stream stream_;
  asio::steady_timer timer_;
  HttpServer::State& server_;
  beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  std::shared_ptr<const Request> request_;
  std::shared_ptr<EventSource> source_;
  std::string head_;  // bytes to write that are not a Beast message: interim responses, events
  std::uint64_t held_ = 0, sent_ = 0;
  Clock::time_point started_ = Clock::now(), beat_{};
  bool keep_ = true, busy_ = false, ended_ = false;
};

void HttpServer::State::accept() {
  acceptor.async_accept([this](beast::error_code error, Tcp::socket socket) {
    if (stopping || error == asio::error::operation_aborted) return;
    if (error) {  // such as too many open files: a moment later there may be fewer
      auto pause = std::make_shared<asio::steady_timer>(context, std::chrono::milliseconds(100));
      pause->async_wait([this, pause](beast::error_code) { accept(); });
      return;
    }
    const bool full = static_cast<int>(sessions.size()) >= options.connections;
    // The session is destroyed on this thread, even if a worker released it last.
    const std::shared_ptr<Session> session(new Session(std::move(socket), *this), [this](Session* last) {
      asio::post(context, [ended = std::unique_ptr<Session>(last)] {});
    });
    full ? session->turn_away() : session->read();
    accept();
  });
}

/// Ends run() when the last connection has ended or the time is up.
void HttpServer::State::end_when_idle() {
  if (sessions.empty() || Clock::now() > end) return context.stop();
  timer.expires_after(std::chrono::milliseconds(20));
  timer.async_wait([this](beast::error_code) { end_when_idle(); });
}

HttpServer::HttpServer(const HttpOptions& options, Check check, Handle handle, Done done)
    : state_(std::make_unique<State>(options, std::move(check), std::move(handle), std::move(done))) {
  const auto fail = [&](beast::error_code error) {
    base::fail_run("{}:{}: cannot listen: {}", options.host, options.port, error.message());
  };
  beast::error_code error;
  Tcp::resolver resolver(state_->context);
  const auto found = resolver.resolve(options.host, std::to_string(options.port), Tcp::resolver::passive, error);
  if (error) fail(error);
  const Tcp::endpoint endpoint = found.begin()->endpoint();
  Tcp::acceptor& acceptor = state_->acceptor;
  acceptor.open(endpoint.protocol(), error);
  if (!error) acceptor.set_option(Tcp::acceptor::reuse_address(true), error);
  // Accepted connections inherit no_delay, so that answers are sent at once.
  if (!error) acceptor.set_option(Tcp::no_delay(true), error);
  if (!error) acceptor.bind(endpoint, error);
  if (!error) acceptor.listen(kBacklog, error);
  if (error) fail(error);
  state_->accept();
}

HttpServer::~HttpServer() = default;

int HttpServer::port() const { return state_->acceptor.local_endpoint().port(); }

std::pair<int, int> HttpServer::connections() const { return {state_->open, state_->streams}; }

void HttpServer::run(double grace_seconds) {
  state_->grace_seconds = grace_seconds;
  for (;;) try {
      return static_cast<void>(state_->context.run());
    } catch (const std::bad_alloc&) {  // the connection that needed the memory has ended
    }
}

void HttpServer::stop() {
  asio::post(state_->context, [this] {
    State& state = *state_;
    if (state.stopping) return;
    state.stopping = true;
    beast::error_code ignored;
    state.acceptor.close(ignored);
    for (Session* session : std::vector<Session*>(state.sessions.begin(), state.sessions.end())) session->stop();
    state.end = Clock::now() + std::chrono::milliseconds(static_cast<std::int64_t>(1000 * state.grace_seconds));
    state.end_when_idle();
  });
}

void Reply::send(Response response) const { session_->respond(std::move(response)); }

void Reply::stream(std::shared_ptr<EventSource> source) const { session_->start_stream(std::move(source)); }

std::string_view Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers)
    if (same_name(key, name)) return value;
  return {};
}

bool decode_url(std::string_view encoded, std::string& decoded, bool plus_is_space) {
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const int lower = std::tolower(static_cast<unsigned char>(c));
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
  };
  decoded.clear();
  for (std::size_t i = 0; i < encoded.size(); ++i) {
    if (encoded[i] == '+' && plus_is_space) {
      decoded += ' ';
      continue;
    }
    if (encoded[i] != '%') {
      decoded += encoded[i];
      continue;
    }
    if (i + 2 >= encoded.size() || digit(encoded[i + 1]) < 0 || digit(encoded[i + 2]) < 0) return false;
    decoded += static_cast<char>(16 * digit(encoded[i + 1]) + digit(encoded[i + 2]));
    i += 2;
  }
  return decoded.find('\0') == std::string::npos;
}

std::string encode_url(std::string_view text) {
  static constexpr char kHexDigits[] = "0123456789ABCDEF";
  std::string encoded;
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) || c == '-' || c == '.' || c == '_' || c == '~')
      encoded += c;
    else
      encoded.append({'%', kHexDigits[byte >> 4], kHexDigits[byte & 15]});
  }
  return encoded;
}

}  // namespace gan::serve
