#include <fmt/core.h>

#include <algorithm>
#include <exception>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runs/files.h"
#include "serve/routes.h"

namespace gan::serve {

using Json = nlohmann::ordered_json;

namespace {

constexpr std::size_t kQuickBody = 16 << 10;  // bytes that are parsed on the thread of all connections

/// The JSON of a body. The number of fields is limited, because keys are found by linear search.
std::optional<Json> parse_body(const std::string& body) {
  constexpr int kMostFields = 1000;
  if (std::ranges::count(body, ':') > kMostFields) throw Refusal{400, "the body has too many fields"};
  return runs::parse_json(body.empty() ? "{}" : body);
}

Response refuse(const Refusal& refusal) {
  Json json{{"error", refusal.message}};
  if (!refusal.field.empty()) json["field"] = refusal.field;
  Response response{.status = refusal.status, .body = json.dump(-1, ' ', false, Json::error_handler_t::replace)};
  if (refusal.retry_after > 0) response.headers.emplace_back("Retry-After", std::to_string(refusal.retry_after));
  if (refusal.status == 401) response.headers.emplace_back("WWW-Authenticate", "Bearer");
  return response;
}

/// Writes to the log; unlike fmt::print it does not throw if that fails.
void say(const std::string& message) { std::fputs(("gan: " + message + "\n").c_str(), stderr); }

/// Whether a path such as /v1/runs/a%2Fb matches the form of a route, such as /v1/runs/{name}; fills `parts`.
bool matches(std::string_view form, std::string_view path, std::map<std::string, std::string>& parts) {
  parts.clear();
  while (!form.empty() && !path.empty()) {
    const std::string_view a = form.substr(1, form.find('/', 1) - 1), b = path.substr(1, path.find('/', 1) - 1);
    form.remove_prefix(a.size() + 1);
    path.remove_prefix(b.size() + 1);
    if (a.starts_with('{')) {
      std::string decoded;
      if (b.empty() || !decode_url(b, decoded)) return false;
      parts[std::string(a.substr(1, a.size() - 2))] = std::move(decoded);
    } else if (a != b) {
      return false;
    }
  }
  return form.empty() && path.empty();
}

void read_query(std::string_view text, std::map<std::string, std::string>& query) {
  for (const std::string& pair : base::split(text, '&')) {
    if (pair.empty()) continue;
    const std::size_t equals = pair.find('=');
    std::string key, value;
    if (!decode_url(std::string_view(pair).substr(0, equals), key, true) ||
        !decode_url(equals == std::string::npos ? "" : std::string_view(pair).substr(equals + 1), value, true))
      throw Refusal{400, "the query is not encoded as it should be"};
    query[key] = value;
  }
}

/// The path of a request. Throws a Refusal if its target has none.
std::string_view path_of(const Request& request) {
  std::string_view target = request.target;
  if (target.starts_with("http://")) target.remove_prefix(std::min(target.find('/', 7), target.size()));
  const std::string_view path = target.substr(0, target.find('?'));
  if (!path.starts_with('/')) throw Refusal{400, "the target is no path"};
  return path;
}

/// The route of a request, if there is one.
struct Found {
  const Route* route = nullptr;
  std::map<std::string, std::string> parts = {};
  std::string allowed = {};  ///< the methods that the path accepts
};

Found find_route(const Request& request, std::string_view path) {
  const bool head = request.method == "HEAD";
  const std::string method = head ? "GET" : request.method;
  Found found;
  std::map<std::string, std::string> parts;
  for (const Route& route : routes()) {
    if (!matches(route.path, path, parts)) continue;
    found.allowed += (found.allowed.empty() ? "" : ", ") + std::string(route.method);
    if (found.route || route.method != method || (head && std::string_view(route.answer) == "text/event-stream"))
      continue;
    found.route = &route;
    found.parts = parts;
  }
  return found;
}

void run(Server::Services& services, const Route& route, Call& call) {
  Response response;
  try {
    if (std::string_view(route.method) == "POST") {
      std::optional<Json> body = parse_body(call.request->body);
      if (!body || !body->is_object()) throw Refusal{400, "the body is no JSON object"};
      call.body = std::move(*body);
    }
    std::optional<Response> answer = route.handle(services, call);
    if (!answer) return;
    response = std::move(*answer);
  } catch (...) {
    response = answer_of(services, std::current_exception());
  }
  call.reply.send(std::move(response));
}

}  // namespace

// Errors of the server itself go to its log; the client gets one line without paths.
Response answer_of(const Server::Services& services, const std::exception_ptr& thrown) {
  try {
    std::rethrow_exception(thrown);
  } catch (const Refusal& refusal) {
    return refuse(refusal);
  } catch (const base::Error& error) {
    const std::string message = without_paths(error.what(), services.options.root);
    if (error.kind() == base::ErrorKind::usage) return refuse({400, message});
    say(error.what());
    return refuse({500, message});
  } catch (const std::bad_alloc&) {
    return refuse({503, "out of memory", "", 5});
  } catch (const std::exception& error) {
    say(base::printable(error.what()));
    return refuse({500, "the server failed; its log says how"});
  } catch (...) {
    return refuse({500, "the server failed"});
  }
}

std::optional<Response> refusal_of(const Server::Services& services, const Request& request) {
  try {
    const Found found = find_route(request, path_of(request));
    services.access.check(request, found.route && found.route->changes);
    return std::nullopt;
  } catch (...) {
    return answer_of(services, std::current_exception());
  }
}

void dispatch(Server::Services& services, const std::shared_ptr<const Request>& request, const Reply& reply) {
  try {
    Call call{.request = request, .reply = reply};
    const std::string_view path = path_of(*request);
    Found found = find_route(*request, path);
    if (path != "/health") services.access.check(*request, found.route && found.route->changes);
    if (found.allowed.empty()) throw Refusal{404, "there is nothing at that address"};
    if (!found.route) {
      Response response = refuse({405, "that address takes " + found.allowed});
      response.headers.emplace_back("Allow", found.allowed);
      return reply.send(std::move(response));
    }
    call.parts = std::move(found.parts);
    const std::string_view target = request->target;
    if (const std::size_t query = target.find('?'); query != std::string_view::npos)
      read_query(target.substr(query + 1), call.query);
    const Route& route = *found.route;
    if (route.place == Place::connections && request->body.size() <= kQuickBody) return run(services, route, call);
    const auto waiting = std::make_shared<Call>(std::move(call));
    if (!services.workers->add([&services, &route, waiting] { run(services, route, *waiting); }))
      throw Refusal{429, "the server is busy", "", 1};
  } catch (...) {
    reply.send(answer_of(services, std::current_exception()));
  }
}

}  // namespace gan::serve
