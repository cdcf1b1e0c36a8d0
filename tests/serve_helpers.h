// A client of `gan serve`, and the server itself.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "run_helpers.h"

namespace gan::test {

using Json = nlohmann::ordered_json;
using Headers = std::vector<std::pair<std::string, std::string>>;

/// A connection to this machine.
class Connection {
 public:
  explicit Connection(int port) : socket_(::socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<std::uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    timeval limit{.tv_sec = 60, .tv_usec = 0};
    ::setsockopt(socket_, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    open_ = ::connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~Connection() { ::close(socket_); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  bool is_open() const { return open_; }
  void send(const std::string& bytes) { ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL); }
  /// The bytes up to `end`, or until the other side has closed, or a minute is over.
  std::string read_until(const std::string& end) {
    for (;;) {
      if (const std::size_t at = text_.find(end); at != std::string::npos) return take(at + end.size());
      if (!receive()) return take(text_.size());
    }
  }
  std::string read(std::size_t bytes) {
    while (text_.size() < bytes && receive()) {
    }
    return take(std::min(bytes, text_.size()));
  }

 private:
  bool receive() {
    char buffer[16384];
    const ssize_t count = ::recv(socket_, buffer, sizeof buffer, 0);
    if (count > 0) text_.append(buffer, static_cast<std::size_t>(count));
    return count > 0;
  }
  std::string take(std::size_t bytes) {
    std::string taken = text_.substr(0, bytes);
    text_.erase(0, bytes);
    return taken;
  }

  int socket_;
  bool open_;
  std::string text_;
};

struct Reply {
  int status = 0;
  std::string head, body;

  std::string header(const std::string& name) const {
    const std::size_t at = head.find("\r\n" + name + ": ");
    if (at == std::string::npos) return "";
    const std::size_t begin = at + name.size() + 4;
    return head.substr(begin, head.find('\r', begin) - begin);
  }
  Json json() const { return Json::parse(body, nullptr, false); }
};

inline std::string request_text(const std::string& method, const std::string& target, const std::string& body = "",
                                const Headers& headers = {}) {
  std::string text = method + " " + target + " HTTP/1.1\r\n";
  bool host = false;
  for (const auto& [name, value] : headers) host = host || name == "Host";
  if (!host) text += "Host: 127.0.0.1\r\n";
  for (const auto& [name, value] : headers) text += name + ": " + value + "\r\n";
  if (!body.empty()) text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text + "\r\n" + body;
}

inline Reply read_reply(Connection& connection, bool has_body = true) {
  Reply reply;
  reply.head = connection.read_until("\r\n\r\n");
  if (reply.head.size() > 12) reply.status = std::atoi(reply.head.c_str() + 9);
  if (has_body)
    reply.body = connection.read(static_cast<std::size_t>(std::atoll(reply.header("Content-Length").c_str())));
  return reply;
}

/// A running server.
class Served {
 public:
  Served(const Folder& folder, const Args& args, const Environment& environment = {})
      : process_(folder, args, GAN_BINARY, environment) {
    wait_for([&] { return !process_.running() || process_.out().find('\n') != std::string::npos; });
    const std::string out = process_.out();
    const std::size_t colon = out.rfind(':');
    if (colon != std::string::npos) port = std::atoi(out.c_str() + colon + 1);
    EXPECT_GT(port, 0) << out << process_.err();
    wait_for([&] { return !process_.running() || get("/health").status == 200; });
  }

  Reply send(const std::string& method, const std::string& target, const std::string& body = "",
             const Headers& headers = {}) const {
    Connection connection(port);
    connection.send(request_text(method, target, body, headers));
    return read_reply(connection, method != "HEAD");
  }
  Reply get(const std::string& target, const Headers& headers = {}) const { return send("GET", target, "", headers); }
  Reply post(const std::string& target, const std::string& body, Headers headers = {}) const {
    headers.emplace_back("Content-Type", "application/json");
    return send("POST", target, body, headers);
  }
  /// The value of a line of /metrics.
  double metric(const std::string& name) const {
    const std::string text = get("/metrics").body;
    const std::size_t at = text.find("\n" + name + " ");
    return at == std::string::npos ? -1 : std::atof(text.c_str() + at + name.size() + 2);
  }
  Process& process() { return process_; }

  int port = 0;

 private:
  Process process_;
};

}  // namespace gan::test
