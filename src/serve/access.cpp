#include "serve/access.h"

#include <algorithm>
#include <filesystem>
#include <system_error>

namespace gan::serve {

namespace fs = std::filesystem;

namespace {

/// A Host header without its port: "localhost", "[::1]".
std::string_view name_of(std::string_view host) {
  if (host.starts_with('[')) return host.substr(0, host.find(']') + 1);
  return host.substr(0, host.find(':'));
}

/// The key that a browser was given by the front page.
std::string key_of_cookie(std::string_view cookies) {
  const std::size_t at = cookies.find("gan_key=");
  std::string key;
  if (at != std::string_view::npos && decode_url(cookies.substr(at + 8, cookies.find(';', at) - at - 8), key))
    return key;
  return "";
}

/// Compares in a time that does not depend on where the texts differ.
bool same_key(std::string_view a, std::string_view b) {
  unsigned difference = a.size() == b.size() ? 0 : 1;
  for (std::size_t i = 0; i < a.size(); ++i)
    difference |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b.empty() ? 0 : b[i % b.size()]);
  return difference == 0;
}

}  // namespace

bool is_loopback(std::string_view host) {
  return host == "localhost" || host == "::1" || host == "[::1]" ||
         (host.starts_with("127.") &&
          std::ranges::all_of(host, [](char c) { return c == '.' || (c >= '0' && c <= '9'); }));
}

void Access::check(const Request& request, bool changes) const {
  const std::string_view host = request.header("Host"), name = name_of(host);
  const bool own = name == this->host || name == "[" + this->host + "]" ||
                   (is_loopback(this->host) && is_loopback(name)) || std::ranges::find(hosts, name) != hosts.end();
  // A server that listens on all addresses has no name of its own; its key keeps strangers out.
  const bool any = hosts.empty() && !is_loopback(this->host);
  if (host.empty() || (!own && !any)) throw Refusal{421, "this server does not go by that Host"};
  if (const std::string_view origin = request.header("Origin"); !origin.empty())
    if (const std::size_t scheme = origin.find("://");
        scheme == std::string_view::npos || origin.substr(scheme + 3) != host)
      throw Refusal{403, "requests from pages of another origin are refused"};
  if (!key.empty()) {
    std::string_view given = request.header("Authorization");
    if (given.starts_with("Bearer "))
      given.remove_prefix(7);
    else
      given = request.header("X-API-Key");
    const std::string cookie = key_of_cookie(request.header("Cookie"));
    if (given.empty()) given = cookie;
    const bool sign_in = request.method == "GET" && request.target == "/?key=" + encode_url(key);
    if (!sign_in && !same_key(given, key)) throw Refusal{401, "a key is needed: Authorization: Bearer KEY"};
  }
  if (request.method == "POST") {
    const std::string_view type = request.header("Content-Type");
    if (type.substr(0, type.find(';')) != "application/json") throw Refusal{415, "the body must be application/json"};
  }
  if (changes && read_only) throw Refusal{403, "the server is read-only"};
}

std::string path_below(const std::string& folder, const std::string& name) {
  const Refusal nothing{404, "there is nothing of that name"};
  const fs::path path(name);
  if (name.empty() || name.find('\0') != std::string::npos || path.is_absolute()) throw nothing;
  for (const fs::path& part : path)
    if (part.string().starts_with('.') && name != ".") throw nothing;
  std::error_code error;
  const fs::path root = fs::canonical(folder, error);
  if (error) throw nothing;
  const fs::path found = fs::canonical(root / path, error);
  if (error) throw nothing;
  const auto [end, rest] = std::ranges::mismatch(root, found);
  if (end != root.end()) throw nothing;
  return found.string();
}

std::string without_paths(std::string message, const std::string& root) {
  for (const std::string& prefix : {root + "/", root})
    for (std::size_t at; prefix.size() > 1 && (at = message.find(prefix)) != std::string::npos;)
      message.erase(at, prefix.size());
  const auto begins_path = [&](std::size_t at) {
    return message[at] == '/' && at + 1 < message.size() && message[at + 1] != ' ' &&
           (at == 0 || message[at - 1] == ' ' || message[at - 1] == '\'' || message[at - 1] == '"');
  };
  for (std::size_t at = 0; at < message.size(); ++at)
    if (begins_path(at)) return "a file of the server cannot be used; its log says which";
  return message;
}

}  // namespace gan::serve
