#include "serve/access.h"

#include <algorithm>
#include <cctype>
#include <filesystem>
#include <system_error>

#include "base/text.h"

namespace gan::serve {

namespace fs = std::filesystem;

namespace {

std::string lower(std::string_view text) {
  std::string small(text);
  for (char& c : small) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return small;
}

/// A Host header without its port, in small letters: "localhost", "[::1]". Empty if it is not of that form.
std::string name_of(std::string_view host) {
  const std::size_t end = host.starts_with('[') ? host.find(']') + 1 : std::min(host.find(':'), host.size());
  const std::string_view port = host.substr(end);
  const auto digits = [](char c) { return c >= '0' && c <= '9'; };
  if (end == 0 || (!port.empty() && (port[0] != ':' || !std::ranges::all_of(port.substr(1), digits)))) return "";
  return lower(host.substr(0, end));
}

/// The key in the cookie that the front page has set; empty without one.
std::string key_of_cookie(std::string_view cookies) {
  for (std::string& cookie : base::split(cookies, ';')) {
    cookie.erase(0, cookie.find_first_not_of(' '));
    std::string key;
    if (cookie.starts_with("gan_key=") && decode_url(std::string_view(cookie).substr(8), key)) return key;
  }
  return "";
}

/// Compares in constant time, so that the time does not show how much of a key is right.
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
  const std::string_view host = request.header("Host");
  const std::string name = name_of(host);
  const auto is_name = [&](const std::string& allowed) { return lower(allowed) == name; };
  const bool own = name == lower(this->host) || name == "[" + lower(this->host) + "]" || is_loopback(name) ||
                   std::ranges::any_of(hosts, is_name);
  // Without --allow-host, a server that other machines can reach accepts every Host: its key keeps strangers out.
  const bool any = hosts.empty() && !is_loopback(this->host);
  if (name.empty() || (!own && !any)) throw Refusal{421, "this server does not go by that Host"};
  if (const std::string_view origin = request.header("Origin"); !origin.empty())
    if (const std::size_t scheme = origin.find("://");
        scheme == std::string_view::npos || origin.substr(scheme + 3) != host)
      throw Refusal{403, "requests from pages of another origin are refused"};
  // Browsers request pictures and the like without an Origin. Any page may link to the front page.
  const std::string_view site = request.header("Sec-Fetch-Site");
  const bool front_page = request.method == "GET" && request.target.substr(0, request.target.find('?')) == "/" &&
                          request.header("Sec-Fetch-Mode") == "navigate" &&
                          request.header("Sec-Fetch-Dest") == "document";
  if ((site == "cross-site" || site == "same-site") && !front_page)
    throw Refusal{403, "requests from pages of another origin are refused"};
  if (!key.empty()) {
    const std::string_view given = request.header("Authorization");
    std::string brought(lower(given.substr(0, 7)) == "bearer " ? given.substr(7) : request.header("X-API-Key"));
    // The front page takes the key from its address, or else from an older cookie.
    constexpr std::string_view kSignIn = "/?key=";
    std::string signing_in;
    if (brought.empty() && request.method == "GET" && request.target.starts_with(kSignIn) &&
        decode_url(std::string_view(request.target).substr(kSignIn.size()), signing_in))
      brought = signing_in;
    if (brought.empty()) brought = key_of_cookie(request.header("Cookie"));
    if (!same_key(brought, key)) throw Refusal{401, "a key is needed: Authorization: Bearer KEY"};
  }
  if (request.method == "POST") {
    std::string type = lower(request.header("Content-Type"));
    type.erase(std::min(type.find(';'), type.size()));
    type.erase(type.find_last_not_of(' ') + 1);
    if (type != "application/json") throw Refusal{415, "the body must be application/json"};
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

std::string name_of_run(const std::string& root, const std::string& folder) {
  return folder == "." ? fs::path(root).filename().string() : folder;
}

std::string folder_of_run(const std::string& root, const std::string& name) {
  std::error_code ignored;
  const fs::path own(root);
  if (name == own.filename() && fs::is_regular_file(own / "config.toml", ignored) && !fs::exists(own / name, ignored))
    return root;
  const std::string path = path_below(root, name);
  if (name == "." || fs::path(path).lexically_relative(root).string() != name)
    throw Refusal{404, "there is nothing of that name"};
  return path;
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
