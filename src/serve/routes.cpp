#include "serve/routes.h"

#include <fmt/core.h>
#include <unistd.h>

#include <charconv>
#include <cmath>
#include <exception>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "base/text.h"
#include "data/source.h"
#include "pages/assets.h"
#include "runs/files.h"
#include "serve/playground.h"
#include "train/config_keys.h"
#include "train/preset.h"

namespace gan::serve {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;
using Services = Server::Services;
using Answer = std::optional<Response>;

namespace {

Response json(const Json& value, int status = 200) {
  return {.status = status,
          .body = value.dump(-1, ' ', false, Json::error_handler_t::replace),
          .headers = {{"Cache-Control", "no-store"}}};
}

// ---- the server ----

Answer health(Services& services, Call&) {
  if (services.ready) return json({{"status", "ok"}});
  return json({{"status", "loading"}}, 503);
}

Answer server(Services& services, Call&) {
  return json({{"version", GAN_VERSION},
               {"read_only", services.options.read_only},
               {"root", !services.options.root.empty()},
               {"threads", services.options.threads}});
}

/// Bytes of memory in use, number of open files and of threads, from /proc.
std::array<std::uint64_t, 3> process_use() {
  std::array<std::uint64_t, 3> use = {};
  std::uint64_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages >> pages;
  use[0] = pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::error_code ignored;
  for (fs::directory_iterator it("/proc/self/fd", ignored), end; it != end; it.increment(ignored)) ++use[1];
  for (fs::directory_iterator it("/proc/self/task", ignored), end; it != end; it.increment(ignored)) ++use[2];
  return use;
}

/// https://prometheus.io/docs/instrumenting/exposition_formats/
Answer metrics(Services& services, Call&) {
  std::string text;
  const auto put = [&](const char* name, const char* type, const char* help, const std::string& samples) {
    text += fmt::format("# HELP {0} {1}\n# TYPE {0} {2}\n{3}", name, help, type, samples);
  };
  const auto one = [&](const char* name, const char* type, const char* help, const auto& value) {
    put(name, type, help, fmt::format("{} {}\n", name, value));
  };
  std::string answers;
  for (std::size_t k = 1; k < services.answers.size(); ++k)
    answers += fmt::format("gan_requests_total{{status=\"{}xx\"}} {}\n", k, services.answers[k].load());
  put("gan_requests_total", "counter", "Answered requests.", answers);
  one("gan_requests_refused_total", "counter", "Requests that were answered with 429.", services.refused.load());
  one("gan_request_seconds_total", "counter", "Seconds from requests to their answers.",
      static_cast<double>(services.microseconds.load()) / 1e6);
  one("gan_samples_total", "counter", "Samples drawn.", services.drawer->samples());
  one("gan_batches_total", "counter", "Batches in which they were drawn.", services.drawer->batches());
  one("gan_draw_waiting", "gauge", "Requests that wait to be drawn.", services.drawer->waiting());
  const auto [connections, streams] = services.http->connections();
  one("gan_connections", "gauge", "Open connections.", connections);
  one("gan_event_streams", "gauge", "Connections that listen to events.", streams);
  one("gan_trainings", "gauge", "Trainings that this server has started and that run.", services.runs.training());
  const auto [memory, files, threads] = process_use();
  one("process_resident_memory_bytes", "gauge", "Memory in use.", memory);
  one("process_open_fds", "gauge", "Open files and connections.", files);
  one("process_threads", "gauge", "Threads.", threads);
  Response response = json(nullptr);
  response.type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = std::move(text);
  return response;
}

Answer openapi(Services&, Call&) {
  Json paths = Json::object();
  for (const Route& route : routes()) {
    if (std::string_view(route.path) == "/" || std::string_view(route.path).starts_with("/studio/")) continue;
    std::string method = route.method;
    for (char& c : method) c = static_cast<char>(c | 0x20);
    Json& operation = paths[route.path][method];
    operation["summary"] = route.summary;
    std::string_view rest = route.path;
    for (std::size_t at; (at = rest.find('{')) != std::string_view::npos;) {
      const std::size_t end = rest.find('}', at);
      operation["parameters"].push_back({{"name", rest.substr(at + 1, end - at - 1)},
                                         {"in", "path"},
                                         {"required", true},
                                         {"schema", {{"type", "string"}}}});
      rest.remove_prefix(end);
    }
    if (route.body) {
      operation["requestBody"] = {{"required", true}};
      operation["requestBody"]["content"]["application/json"]["schema"] = Json::parse(route.body);
    }
    for (const std::string& type : base::split(route.answer, ' '))
      operation["responses"]["200"]["content"][type] = Json::object();
    operation["responses"]["200"]["description"] = "the answer";
    operation["responses"]["default"] = {{"description", "what was wrong: {\"error\": text, \"field\": name}"}};
  }
  return json({{"openapi", "3.0.3"},
               {"info", {{"title", "gan serve"}, {"version", GAN_VERSION}}},
               {"paths", std::move(paths)}});
}

// ---- models and samples ----

Answer models(Services& services, Call&) {
  Json all = Json::array();
  for (const std::string& name : services.models.names()) {
    try {
      all.push_back(services.models.open(name)->description);
    } catch (const base::Error& error) {
      all.push_back(
          {{"name", name}, {"state", "failed"}, {"error", without_paths(error.what(), services.options.root)}});
    } catch (const std::exception&) {
      all.push_back({{"name", name}, {"state", "failed"}, {"error", "it cannot be read"}});
    } catch (const Refusal&) {  // it has vanished
    }
  }
  return json({{"models", std::move(all)}});
}

Answer model(Services& services, Call& call) {
  const auto opened = services.models.open(call.parts["name"]);
  Json description = opened->description;
  if (const std::string run = services.models.run_of(opened->name); !run.empty())
    description["scores"] = runs::scores_of(run);
  return json(description);
}

/// Hands an order to the drawer, whose thread replies.
void draw(Services& services, const Call& call, SampleOrder order) {
  const Reply reply = call.reply;
  const bool taken = services.drawer->add(
      std::move(order), [reply](Response response) { reply.send(std::move(response)); },
      [reply, &services](const std::exception_ptr& thrown) { reply.send(answer_of(services, thrown)); });
  if (!taken) throw Refusal{429, "too many samples wait to be drawn", "", 1};
}

void require_ready(const Services& services) {
  if (!services.ready) throw Refusal{503, "the models are being read", "", 1};
}

Answer sample(Services& services, Call& call) {
  require_ready(services);
  const std::string name = model_of(call.body);
  if (const auto opened = services.models.find_open(name)) {
    draw(services, call, make_order(call.body, call.request->header("Accept"), opened, services.options.limits));
    return std::nullopt;
  }
  const auto waiting = std::make_shared<Call>(call);
  const bool taken = services.workers->add([&services, waiting, name] {
    try {
      draw(services, *waiting,
           make_order(waiting->body, waiting->request->header("Accept"), services.models.open(name),
                      services.options.limits));
    } catch (...) {
      waiting->reply.send(answer_of(services, std::current_exception()));
    }
  });
  if (!taken) throw Refusal{429, "the server is busy", "", 1};
  return std::nullopt;
}

Answer interpolate(Services& services, Call& call) {
  require_ready(services);
  const base::ScopedThreads team(services.options.threads);
  return serve::interpolate(call.body, call.request->header("Accept"), services.models.open(model_of(call.body)),
                            services.options.limits);
}

Answer neighbours(Services& services, Call& call) {
  require_ready(services);
  const auto opened = services.models.open(model_of(call.body));
  const std::string run = services.models.run_of(opened->name);
  if (run.empty()) throw Refusal{404, "the model's file lies alone, so its training data is not known", "model"};
  const Json wanted = call.body.value("k", Json(6));
  if (!wanted.is_number_integer() || wanted < 1 || wanted > 100) throw Refusal{400, "k: expected 1 to 100", "k"};
  const SampleOrder order = make_order(call.body, "application/json", opened, services.options.limits, {"k"});
  if (order.plan.total != 1) throw Refusal{400, "count: the neighbours of one sample can be asked for", "count"};
  const base::ScopedThreads team(services.options.threads);
  const train::Model& model = opened->model;
  train::Sampler sampler(model, opened->precision, {}, opened->backend);
  std::vector<float> z(static_cast<std::size_t>(model.config.model.latent));
  std::vector<float> drawn(static_cast<std::size_t>(graph::element_count(model.sample_shape)));
  draw::fill_latents(order.options, order.plan, order.noise, sampler, model.config.model.latent, 0, z);
  sampler.sample(z, order.plan.rows(0, 1), drawn);
  sampler.require_finite(drawn);
  return json(services.neighbours.find(run, drawn, wanted.get<std::int64_t>()));
}

// ---- runs ----

Answer runs(Services& services, Call&) { return json({{"runs", services.runs.list()}}); }

Answer run(Services& services, Call& call) { return json(services.runs.describe(call.parts["name"])); }

Answer start(Services& services, Call& call) {
  const Json started = services.runs.start(call.body);
  return json(started, started.contains("name") ? 201 : 200);
}

Answer stop(Services& services, Call& call) {
  services.runs.stop(call.parts["name"]);
  return json(Json::object(), 202);
}

Answer resume(Services& services, Call& call) {
  services.runs.resume(call.parts["name"], call.body);
  return json(Json::object(), 202);
}

/// A picture in the folder of a run, out of which no link may lead.
Response picture_of(Services& services, Call& call, const std::string& file) {
  const std::string path = path_below(services.runs.folder(call.parts["name"]), file);
  std::error_code ignored;
  if (!fs::is_regular_file(path, ignored)) throw Refusal{404, "there is no such picture"};
  return {.type = "image/png", .file = path, .headers = {{"Cache-Control", "no-cache"}}};
}

Answer picture(Services& services, Call& call) {
  const std::string& file = call.parts["file"];
  std::int64_t step = -1;
  std::from_chars(file.data(), file.data() + file.size(), step);
  if (file != fmt::format("{}.png", step)) throw Refusal{404, "there is no such picture"};
  return picture_of(services, call, "samples/" + file);
}

Answer evaluation_picture(Services& services, Call& call) {
  const std::string& file = call.parts["file"];
  if (file != "samples.png" && file != "neighbours.png") throw Refusal{404, "there is no such picture"};
  return picture_of(services, call, "eval/" + file);
}

Answer run_events(Services& services, Call& call) {
  std::int64_t after = -1;
  if (const std::string& text = call.query["after"]; !text.empty())
    std::from_chars(text.data(), text.data() + text.size(), after);
  call.reply.stream(
      services.runs.events(call.parts["name"], std::string(call.request->header("Last-Event-ID")), after));
  return std::nullopt;
}

Answer all_events(Services& services, Call& call) {
  call.reply.stream(services.runs.list_events());
  return std::nullopt;
}

Json describe_presets() {
  Json all = Json::array();
  for (const train::EmbeddedPreset& preset : train::embedded_presets()) {
    const train::Config config = train::load_preset(preset.name);
    Json values = Json::object();
    for (const std::string& key : train::config_keys()) values[key] = train::value_of(config, key);
    all.push_back(
        {{"name", preset.name}, {"description", train::describe_preset(preset)}, {"values", std::move(values)}});
  }
  return {{"presets", std::move(all)}};
}

Answer presets(Services&, Call&) {
  static const Json kPresets = describe_presets();
  return json(kPresets);
}

Answer keys(Services&, Call&) {
  static constexpr const char* kTypes[] = {"boolean", "integer", "number", "text", "integers"};  // as in train::Field
  train::Config config;
  Json all = Json::array();
  for (const train::Key& key : train::keys()) {
    if (key.alias) continue;
    const auto limit = [](double value) { return std::isfinite(value) ? Json(value) : Json(); };
    all.push_back({{"name", key.name},
                   {"help", key.help},
                   {"type", kTypes[key.field(config).index()]},
                   {"default", train::value_of(config, key.name)},
                   {"minimum", limit(key.minimum)},
                   {"maximum", limit(key.maximum)},
                   {"choices", key.choices}});
  }
  return json({{"keys", std::move(all)}});
}

/// Possible training data: named sets, and files and folders in the root that are no runs.
Answer data_sources(Services& services, Call&) {
  Json all = Json::array();
  for (const std::string& name : data::source_names()) all.push_back({{"name", name}, {"kind", "built in"}});
  std::vector<Json> found;
  std::error_code ignored;
  if (!services.options.root.empty())
    for (const fs::directory_entry& entry : fs::directory_iterator(services.options.root, ignored)) {
      const std::string name = entry.path().filename().string();
      if (name.starts_with('.') || fs::exists(entry.path() / "config.toml", ignored) || !base::is_plain(name)) continue;
      if (entry.is_directory(ignored)) found.push_back({{"name", name}, {"kind", "folder"}});
      if (entry.is_regular_file(ignored)) found.push_back({{"name", name}, {"kind", "file"}});
    }
  std::ranges::sort(found, {}, [](const Json& each) { return each["name"].get<std::string>(); });
  for (Json& each : found) all.push_back(std::move(each));
  return json({{"sources", std::move(all)}});
}

// ---- jobs ----

Answer add_job(Services& services, Call& call) { return json(services.jobs.add(call.body), 202); }
Answer jobs(Services& services, Call&) { return json({{"jobs", services.jobs.list()}}); }
Answer job(Services& services, Call& call) { return json(services.jobs.describe(call.parts["id"])); }

Answer cancel_job(Services& services, Call& call) {
  services.jobs.cancel(call.parts["id"]);
  return json(Json::object(), 202);
}

Answer job_result(Services& services, Call& call) {
  const auto [path, type] = services.jobs.result(call.parts["id"]);
  Response response{.type = type, .file = path, .headers = {{"Cache-Control", "no-store"}}};
  response.headers.emplace_back("Content-Disposition",
                                fmt::format("attachment; filename=\"samples{}\"", fs::path(path).extension().string()));
  return response;
}

Answer play(Services& services, Call& call) {
  call.reply.stream(playground(call.query, services.options.root));
  return std::nullopt;
}

// ---- pages ----

constexpr const char* kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/// A file of the pages (src/pages/), or 304 if the client's copy is current.
Response asset_of(const Call& call, std::string_view name, const char* type) {
  const std::string_view text = pages::asset(name);
  if (text.empty()) throw Refusal{404, "there is no such page"};
  const std::string tag = fmt::format("\"{:x}\"", std::hash<std::string_view>()(text));
  Response response{.type = type, .headers = {{"Cache-Control", "no-cache"}, {"ETag", tag}}};
  response.headers.emplace_back("Content-Security-Policy", kPolicy);
  response.headers.emplace_back("Referrer-Policy", "no-referrer");
  response.headers.emplace_back("Cross-Origin-Resource-Policy", "same-origin");
  if (call.request->header("If-None-Match") == tag)
    response.status = 304;
  else
    response.body = text;
  return response;
}

Answer front_page(Services& services, Call& call) {
  if (!services.options.pages) throw Refusal{404, "this is the API of gan serve: /openapi.json; gan studio has pages"};
  if (call.query.count("key") > 0 && !services.access.key.empty()) {
    // Moves the key from the address, which a browser's history keeps, to a cookie that scripts cannot read.
    Response response{.status = 303, .type = "text/plain", .headers = {{"Location", "/"}}};
    response.headers.emplace_back("Set-Cookie",
                                  "gan_key=" + encode_url(services.access.key) + "; Path=/; HttpOnly; SameSite=Lax");
    return response;
  }
  return asset_of(call, "studio.html", "text/html; charset=utf-8");
}

Answer page_file(Services& services, Call& call) {
  const std::string& name = call.parts["file"];
  const std::string ending = fs::path(name).extension().string();
  const char* type = ending == ".js"    ? "text/javascript; charset=utf-8"
                     : ending == ".css" ? "text/css; charset=utf-8"
                                        : nullptr;
  if (!services.options.pages || !type) throw Refusal{404, "there is no such page"};
  return asset_of(call, name, type);
}

#define GAN_CONDITIONS                                                                                             \
  R"("model":{"type":"string"},"conditions":{"type":"object","additionalProperties":{"oneOf":[{"type":"number"},)" \
  R"({"type":"string"},{"type":"array"},{"type":"object","required":["from","to","steps"],"properties":)"          \
  R"({"from":{"type":"number"},"to":{"type":"number"},"steps":{"type":"integer","minimum":1}}}]}},)"               \
  R"("count":{"type":"integer","minimum":1},"seed":{"type":"integer","minimum":0},"first":{"type":"integer",)"     \
  R"("minimum":0},"truncation":{"type":"number","minimum":0},"latents":{"type":"array","items":{"type":"array",)"  \
  R"("items":{"type":"number"}}},"same_latents":{"type":"boolean"})"

constexpr const char* kSampleBody =
    R"({"type":"object","additionalProperties":false,"properties":{)" GAN_CONDITIONS
    R"(,"columns":{"type":"integer","minimum":1},"pad":{"type":"integer","minimum":0,"maximum":64},)"
    R"("return_latents":{"type":"boolean"}}})";
constexpr const char* kInterpolateBody =
    R"({"type":"object","additionalProperties":false,"properties":{)" GAN_CONDITIONS
    R"(,"between":{"enum":["latent","condition"]},"steps":{"type":"integer","minimum":2,"maximum":1000},)"
    R"("spherical":{"type":"boolean"},"rate":{"type":"integer","minimum":1,"maximum":1000}}})";
constexpr const char* kNeighboursBody =
    R"({"type":"object","properties":{)" GAN_CONDITIONS R"(,"k":{"type":"integer","minimum":1,"maximum":100}}})";
constexpr const char* kJobBody =
    R"({"type":"object","required":["kind"],"properties":{"kind":{"enum":["sample","evaluate"]},)"
    R"("run":{"type":"string"},"format":{"enum":["npz","npy","csv","zip","png"]},)" GAN_CONDITIONS R"(}})";
constexpr const char* kStartBody =
    R"({"type":"object","additionalProperties":false,"properties":{"name":{"type":"string"},"preset":{"type":"string"},)"
    R"("data":{"type":"string"},"time":{"type":"string"},"steps":{"type":"integer"},"epochs":{"type":"integer"},)"
    R"("seed":{"type":"integer"},"init":{"type":"string"},"condition":{"type":"string"},"set":{"type":"object"},)"
    R"("check":{"type":"boolean"}}})";
constexpr const char* kResumeBody =
    R"({"type":"object","additionalProperties":false,"properties":{"time":{"type":"string"},"steps":{"type":"integer"},)"
    R"("epochs":{"type":"integer"}}})";
constexpr const char* kEmptyBody = R"({"type":"object","properties":{}})";
#undef GAN_CONDITIONS

constexpr const char* kSampleTypes =
    "image/png application/zip application/x-npy application/x-npz text/csv application/json";
constexpr const char* kEvents = "text/event-stream";

constexpr Place kHere = Place::connections, kWorker = Place::workers;

constexpr Route kRoutes[] = {
    {"GET", "/health", "whether the models are read: 200, else 503", kHere, false, health},
    {"GET", "/v1/server", "version and abilities of the server", kHere, false, server},
    {"GET", "/v1/models", "the models", kWorker, false, models},
    {"GET", "/v1/models/{name}", "a model: its condition, shape, scores", kWorker, false, model},
    {"POST", "/v1/sample", "draw samples", kHere, false, sample, kSampleBody, kSampleTypes},
    {"POST", "/v1/interpolate", "draw the way from latent to latent, or from condition to condition", kWorker, false,
     interpolate, kInterpolateBody, "image/png image/apng application/x-npy"},
    {"POST", "/v1/neighbours", "the training rows nearest to a sample", kWorker, false, neighbours, kNeighboursBody},
    {"GET", "/v1/runs", "the runs below the root", kWorker, false, runs},
    {"POST", "/v1/runs", "start a training, or check what would be started", kWorker, true, start, kStartBody},
    {"GET", "/v1/runs/{name}", "a run: its report, values and output", kWorker, false, run},
    {"GET", "/v1/runs/{name}/events", "what happens in a run", kWorker, false, run_events, nullptr, kEvents},
    {"POST", "/v1/runs/{name}/stop", "save and stop a training", kWorker, true, stop, kEmptyBody},
    {"POST", "/v1/runs/{name}/resume", "go on with a training", kWorker, true, resume, kResumeBody},
    {"GET", "/v1/runs/{name}/pictures/{file}", "samples of a step: STEP.png", kWorker, false, picture, nullptr,
     "image/png"},
    {"GET", "/v1/runs/{name}/eval/{file}", "samples.png or neighbours.png of the evaluation", kWorker, false,
     evaluation_picture, nullptr, "image/png"},
    {"GET", "/v1/events", "that something has changed in a run", kHere, false, all_events, nullptr, kEvents},
    {"GET", "/v1/presets", "the presets and their values", kHere, false, presets},
    {"GET", "/v1/keys", "the values of a training: help, type, range", kHere, false, keys},
    {"GET", "/v1/data", "what may be training data", kWorker, false, data_sources},
    {"GET", "/v1/jobs", "long work", kWorker, false, jobs},
    {"POST", "/v1/jobs", "add a large draw or an evaluation", kWorker, true, add_job, kJobBody},
    {"GET", "/v1/jobs/{id}", "the state of a job", kWorker, false, job},
    {"DELETE", "/v1/jobs/{id}", "cancel a job", kWorker, true, cancel_job},
    {"GET", "/v1/jobs/{id}/result", "the file that a job made", kWorker, false, job_result, nullptr,
     "application/octet-stream"},
    {"GET", "/v1/playground", "frames of GANs on points in the plane", kWorker, false, play, nullptr, kEvents},
    {"GET", "/metrics", "figures for Prometheus", kHere, false, metrics, nullptr, "text/plain"},
    {"GET", "/openapi.json", "this description", kHere, false, openapi},
    {"GET", "/", "the studio", kHere, false, front_page, nullptr, "text/html"},
    {"GET", "/studio/{file}", "its files", kHere, false, page_file, nullptr, "text/javascript"},
};

}  // namespace

std::span<const Route> routes() { return kRoutes; }

}  // namespace gan::serve
