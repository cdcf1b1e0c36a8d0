#include "serve/sampling.h"

#include <fmt/core.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"
#include "base/text.h"
#include "draw/interpolate.h"
#include "draw/output.h"
#include "serve/access.h"

namespace gan::serve {

using Json = nlohmann::ordered_json;

namespace {

constexpr float kLargestLatent = 1e4F;  // with larger ones samples may not be finite

struct Format {
  std::string_view type;
  draw::SampleFormat format;
};
constexpr Format kAnswerFormats[] = {{"image/png", draw::SampleFormat::png},
                                     {"application/zip", draw::SampleFormat::zip},
                                     {"application/x-npy", draw::SampleFormat::npy},
                                     {"application/x-npz", draw::SampleFormat::npz},
                                     {"text/csv", draw::SampleFormat::csv}};
constexpr std::string_view kJson = "application/json";

/// The first type of an Accept header that is one of `types`; `otherwise` if it accepts any. Throws a Refusal (406).
std::string accepted(std::string_view accept, std::span<const std::string_view> types, std::string_view otherwise) {
  if (accept.empty()) return std::string(otherwise);
  for (std::string& part : base::split(std::string(accept), ',')) {
    std::string type = part.substr(0, part.find(';'));
    std::erase(type, ' ');
    if (type == "*/*" || (type.ends_with("/*") && otherwise.starts_with(type.substr(0, type.size() - 1))))
      return std::string(otherwise);
    if (std::ranges::find(types, type) != types.end()) return type;
  }
  std::vector<std::string> all(types.begin(), types.end());
  throw Refusal{406, "no type of Accept can be given; there are " + base::joined(all)};
}

std::int64_t whole(const Json& body, const char* field, std::int64_t otherwise, std::int64_t least, std::int64_t most) {
  const auto found = body.find(field);
  if (found == body.end() || found->is_null()) return otherwise;
  if (!found->is_number_integer() || (found->is_number_unsigned() && found->get<std::uint64_t>() > INT64_MAX) ||
      found->get<std::int64_t>() < least || found->get<std::int64_t>() > most)
    throw Refusal{400, fmt::format("{}: expected a whole number from {} to {}", field, least, most), field};
  return found->get<std::int64_t>();
}

bool flag(const Json& body, const char* field) {
  const auto found = body.find(field);
  if (found == body.end() || found->is_null()) return false;
  if (!found->is_boolean()) throw Refusal{400, fmt::format("{}: expected true or false", field), field};
  return found->get<bool>();
}

/// A value of a condition in the form of --condition. Texts are quoted, since `|` and commas would split them.
std::string value_text(const Json& value, const std::string& field, bool in_list = false) {
  if (value.is_number_integer() || value.is_number_float()) return value.dump();
  if (value.is_string()) {
    std::string text = "\"";
    for (const char c : value.get<std::string>()) text += c == '"' ? std::string("\"\"") : std::string(1, c);
    return text + '"';
  }
  if (value.is_array() && !value.empty() && !in_list) {
    std::string text;
    for (const Json& each : value) text += (text.empty() ? "" : "|") + value_text(each, field, true);
    return text;
  }
  if (value.is_object()) {
    const Json from = value.value("from", Json()), to = value.value("to", Json()), steps = value.value("steps", Json());
    constexpr std::int64_t kMostSteps = 10'000;
    if (steps.is_number_integer() && (steps < 1 || steps > kMostSteps))
      throw Refusal{400, fmt::format("{}: expected 1 to {} steps", field, base::grouped(kMostSteps)), field};
    if (value.size() == 3 && from.is_number() && to.is_number() && steps.is_number_integer())
      return from.dump() + ":" + to.dump() + ":" + steps.dump();
  }
  throw Refusal{400, field + ": expected a number, a name, a list of them or {\"from\", \"to\", \"steps\"}", field};
}

/// The latents in a body, [rows, latent].
std::vector<float> read_latents(const Json& rows, std::int64_t latent, std::int64_t most) {
  const auto refuse = [&] {
    throw Refusal{400, fmt::format("latents: expected rows of {} numbers between -10,000 and 10,000", latent),
                  "latents"};
  };
  if (!rows.is_array() || rows.empty()) refuse();
  if (std::ssize(rows) > most) throw Refusal{413, fmt::format("latents: more than {} rows", most), "latents"};
  std::vector<float> noise;
  for (const Json& row : rows) {
    if (!row.is_array() || std::ssize(row) != latent) refuse();
    for (const Json& value : row) {
      if (!value.is_number() || !(std::abs(value.get<float>()) <= kLargestLatent)) refuse();
      noise.push_back(value.get<float>());
    }
  }
  return noise;
}

/// The Refusal for a usage error of code that the command line shares: options are named without their dashes, as
/// fields.
Refusal refusal_of(const base::Error& error, const std::string& field = {}) {
  std::string message = error.what();
  for (std::size_t at; (at = message.find("--")) != std::string::npos;) message.erase(at, 2);
  if (error.kind() == base::ErrorKind::usage) return {400, message, field};
  return {500, message, field};
}

draw::SamplePlan make_plan(const draw::SampleOptions& options, const train::Model& model, std::int64_t noise_rows) {
  try {
    return draw::make_sample_plan(options, model, noise_rows);
  } catch (const base::Error& error) {
    throw refusal_of(error, model.condition.empty() || options.conditions.empty() ? "" : "conditions");
  }
}

Json condition_json(const data::ConditionSpec& spec, const data::ConditionRows& rows, std::int64_t count) {
  Json all = Json::array();
  for (std::int64_t i = 0; i < count; ++i) {
    Json row = Json::object();
    for (std::size_t c = 0; c < spec.columns.size(); ++c) {
      const auto at = static_cast<std::size_t>(i);
      if (spec.columns[c].is_numeric())
        row[spec.columns[c].name] = rows.numbers(c)[at];
      else
        row[spec.columns[c].name] = spec.columns[c].name_of(rows.categories(c)[at]);
    }
    all.push_back(std::move(row));
  }
  return all;
}

/// Rows as JSON, with as many digits as tell floats apart.
std::string rows_text(std::span<const float> values, std::size_t size) {
  std::string text = "[";
  for (std::size_t i = 0; i < values.size(); ++i) {
    text += i % size != 0 ? "," : i == 0 ? "[" : "],[";
    fmt::format_to(std::back_inserter(text), "{}", values[i]);
  }
  return text + "]]";
}

std::vector<std::pair<std::string, std::string>> headers_of(const SampleOrder& order) {
  return {{"Gan-Count", std::to_string(order.plan.total)},
          {"Gan-Steps", std::to_string(order.model->model.steps)},
          {"Cache-Control", "no-store"}};
}

/// The answer to an order. `samples` [N, ...sample] are in the training range and are overwritten.
Response answer(const SampleOrder& order, std::span<float> samples, std::span<const float> z,
                const data::ConditionRows& rows) {
  const train::Model& model = order.model->model;
  Response response{.type = order.type, .headers = headers_of(order)};
  if (order.type != kJson) {
    const auto format = std::ranges::find(kAnswerFormats, order.type, &Format::type)->format;
    const auto output =
        draw::open_sample_output({"the answer", response.body}, format, order.options, order.plan, model, order.pad);
    output->write(samples, rows);
    output->finish();
    return response;
  }
  model.units.undo(samples, model.sample_shape);
  Json json{{"model", order.model->name},   {"count", order.plan.total},
            {"shape", model.sample_shape},  {"seed", order.options.seed},
            {"first", order.options.first}, {"conditions", condition_json(model.condition, rows, order.plan.total)}};
  response.body = json.dump(-1, ' ', false, Json::error_handler_t::replace);
  response.body.pop_back();
  response.body +=
      ",\"samples\":" + rows_text(samples, static_cast<std::size_t>(graph::element_count(model.sample_shape)));
  if (order.return_latents)
    response.body += ",\"latents\":" + rows_text(z, static_cast<std::size_t>(model.config.model.latent));
  response.body += '}';
  return response;
}

/// The batch size for which a program is compiled. There are few sizes, so that the sampler keeps all programs.
std::int64_t rounded_batch(std::int64_t count) {
  constexpr std::array<std::int64_t, 8> kSizes = {1, 2, 4, 8, 16, 32, 64, train::Sampler::kLargestBatch};
  return *std::ranges::lower_bound(kSizes, count);
}

void require_size(std::int64_t total, std::int64_t elements, const SampleLimits& limits) {
  if (total > limits.count || total > limits.elements / elements)
    throw Refusal{413,
                  fmt::format("{} samples are too many for one answer, which may have {}: POST /v1/jobs draws more",
                              total, std::min(limits.count, limits.elements / elements)),
                  "count"};
}

}  // namespace

std::string model_of(const Json& body) {
  const Json name = body.value("model", Json());
  if (name.is_null()) return "";
  if (!name.is_string() || name.get<std::string>().empty()) throw Refusal{400, "model: expected a name", "model"};
  return name.get<std::string>();
}

draw::SampleOptions sample_options(const Json& body, const train::Model& model, std::vector<float>& noise,
                                   std::initializer_list<std::string_view> others) {
  static constexpr std::string_view kFields[] = {"model", "conditions", "count",   "seed",
                                                 "first", "truncation", "latents", "same_latents"};
  for (const auto& [field, value] : body.items())
    if (std::ranges::find(kFields, field) == std::end(kFields) && std::ranges::find(others, field) == others.end())
      throw Refusal{400, "there is no field of that name: " + base::printable(field.substr(0, 60)), field};
  draw::SampleOptions options;
  options.seed = whole(body, "seed", 1, 0, INT64_MAX);
  options.first = whole(body, "first", 0, 0, draw::kMostFirst);
  options.same_latents = flag(body, "same_latents");
  if (const Json value = body.value("truncation", Json()); !value.is_null()) {
    if (!value.is_number() || !(value.get<double>() == 0 || value.get<double>() >= train::Sampler::kLeastTruncation))
      throw Refusal{400, fmt::format("truncation: expected 0 (none) or at least {}", train::Sampler::kLeastTruncation),
                    "truncation"};
    options.truncation = value.get<double>();
    if (options.truncation > 0 && model.config.model.latent_distribution == "uniform")
      throw Refusal{400, "truncation: the model's latents are uniform in [-1, 1] already", "truncation"};
  }
  if (const Json rows = body.value("latents", Json()); !rows.is_null()) {
    noise = read_latents(rows, model.config.model.latent, train::Sampler::kLargestBatch * 16);
    options.noise = "of the request";
    if (options.truncation > 0) throw Refusal{400, "truncation: latents are given", "truncation"};
  }
  options.count = whole(body, "count", noise.empty() ? 1 : 0, 1, draw::kMostSamples);
  const Json conditions = body.value("conditions", Json());
  if (!conditions.is_null() && !conditions.is_object())
    throw Refusal{400, "conditions: expected an object: a value for each column", "conditions"};
  if (conditions.is_null()) return options;
  for (const auto& [name, value] : conditions.items()) {
    const std::string field = "conditions." + name;
    const int column = model.condition.find(name);
    if (column < 0) throw Refusal{400, field + ": the model has no such column, but " + model.condition.text(), field};
    const std::string text = value_text(value, field);
    try {
      data::parse_choice(model.condition, static_cast<std::size_t>(column), text);
    } catch (const base::Error& error) {
      throw refusal_of(error, field);
    }
    options.conditions.push_back(name + "=" + text);
  }
  return options;
}

SampleOrder make_order(const Json& body, std::string_view accept, std::shared_ptr<const OpenModel> opened,
                       const SampleLimits& limits, std::initializer_list<std::string_view> others) {
  SampleOrder order;
  order.model = std::move(opened);
  const train::Model& model = order.model->model;
  order.options = sample_options(body, model, order.noise, others);
  order.options.model = order.model->name;
  order.pad = static_cast<int>(whole(body, "pad", 2, 0, 64));
  order.return_latents = flag(body, "return_latents");
  const bool images = model.sample_shape.size() == 3,
             drawable = images ? model.sample_shape[0] <= 4 : model.sample_shape[0] == 2;
  std::vector<std::string_view> types = {kJson, "application/x-npy", "application/x-npz"};
  if (drawable) types.push_back("image/png");
  if (drawable && images) types.push_back("application/zip");
  if (!images) types.push_back("text/csv");
  order.type = accepted(accept, types, images && drawable ? std::string_view("image/png") : kJson);
  const auto rows = static_cast<std::int64_t>(order.noise.size()) / model.config.model.latent;
  order.plan = make_plan(order.options, model, rows);
  require_size(order.plan.total, graph::element_count(model.sample_shape), limits);
  order.plan.columns = whole(body, "columns", order.plan.columns, 1, 4096);
  return order;
}

Response interpolate(const Json& body, std::string_view accept, std::shared_ptr<const OpenModel> opened,
                     const SampleLimits& limits) {
  const train::Model& model = opened->model;
  std::vector<float> noise;
  draw::SampleOptions options = sample_options(body, model, noise, {"between", "steps", "spherical", "rate"});
  options.precision = opened->precision;
  options.backend = opened->backend;
  const Json between = body.value("between", Json("latent"));
  if (between != "latent" && between != "condition")
    throw Refusal{400, "between: expected latent or condition", "between"};
  options.interpolate = between.get<std::string>();
  options.steps = whole(body, "steps", 8, 2, 1000);
  options.rate = whole(body, "rate", 12, 1, 1000);
  options.spherical = flag(body, "spherical");
  options.model = opened->name;
  if (!body.contains("count") && noise.empty()) options.count = options.interpolate == "latent" ? 2 : 1;
  const bool images = model.sample_shape.size() == 3 && model.sample_shape[0] <= 4;
  std::vector<std::string_view> types = {"application/x-npy"};
  if (images) types.insert(types.begin(), {"image/png", "image/apng"});
  const std::string type = accepted(accept, types, types[0]);
  const draw::SamplePlan plan =
      make_plan(options, model, static_cast<std::int64_t>(noise.size()) / model.config.model.latent);
  std::int64_t frames = 0;
  if (__builtin_mul_overflow(plan.total, options.steps, &frames)) frames = INT64_MAX;
  require_size(frames, graph::element_count(model.sample_shape), limits);
  Response response{.type = type, .headers = {{"Cache-Control", "no-store"}}};
  try {
    draw::interpolate(options, plan, model, noise, {"the answer", response.body},
                      "." + type.substr(type.ends_with("npy") ? type.size() - 3 : type.find('/') + 1));
  } catch (const base::Error& error) {
    throw refusal_of(error);
  }
  return response;
}

Drawer::Drawer(const SampleLimits& limits, int threads)
    : limits_(limits), threads_(threads), thread_([this] { run(); }) {}

Drawer::~Drawer() {
  {
    const std::scoped_lock lock(mutex_);
    ending_ = true;
  }
  changed_.notify_all();
}

bool Drawer::add(SampleOrder order, Finish finish, Fail fail) {
  {
    const std::scoped_lock lock(mutex_);
    if (ending_ || std::ssize(queue_) >= limits_.waiting ||
        (!queue_.empty() && queued_samples_ + order.plan.total > limits_.waiting_samples))
      return false;
    queued_samples_ += order.plan.total;
    queue_.push_back({std::move(order), std::move(finish), std::move(fail)});
    waiting_ = std::ssize(queue_);
  }
  changed_.notify_one();
  return true;
}

void Drawer::run() {
  base::set_threads(threads_);
  for (std::unique_lock lock(mutex_);;) {
    changed_.wait(lock, [&] { return ending_ || !queue_.empty(); });
    if (ending_) return;
    // Takes the first order, and others for the same model up to a full batch.
    std::vector<Waiting> together;
    std::int64_t total = 0;
    for (auto it = queue_.begin(); it != queue_.end();) {
      const bool first = together.empty();
      if (!first && (it->order.model != together[0].order.model ||
                     total + it->order.plan.total > train::Sampler::kLargestBatch)) {
        ++it;
        continue;
      }
      total += it->order.plan.total;
      together.push_back(std::move(*it));
      it = queue_.erase(it);
      if (total >= train::Sampler::kLargestBatch) break;
    }
    queued_samples_ -= total;
    waiting_ = std::ssize(queue_);
    lock.unlock();
    draw(together);
    together.clear();
    lock.lock();
  }
}

void Drawer::draw(std::vector<Waiting>& together) {
  const train::Model& model = together[0].order.model->model;
  train::Sampler& sampler = *together[0].order.model->sampler;
  const auto latent = static_cast<std::size_t>(model.config.model.latent);
  const auto size = static_cast<std::size_t>(graph::element_count(model.sample_shape));
  std::vector<data::ConditionRows> rows;
  std::size_t done = 0;  // orders that were answered
  try {
    std::int64_t total = 0;
    for (const Waiting& each : together) total += each.order.plan.total;
    const std::int64_t padded = total <= train::Sampler::kLargestBatch ? rounded_batch(total) : total;
    z_.assign(static_cast<std::size_t>(padded) * latent, 0.0F);
    drawn_.resize(static_cast<std::size_t>(padded) * size);
    data::ConditionRows all;
    std::size_t at = 0;
    for (const Waiting& each : together) {
      const auto count = static_cast<std::size_t>(each.order.plan.total);
      draw::fill_latents(each.order.options, each.order.plan, each.order.noise, sampler,
                         static_cast<std::int64_t>(latent), 0, std::span(z_).subspan(at * latent, count * latent));
      rows.push_back(each.order.plan.rows(0, each.order.plan.total));
      if (at == 0)
        all = rows.back();
      else
        all.append(rows.back());
      at += count;
    }
    if (padded > total && !all.empty()) {
      const std::vector<std::uint32_t> repeated(static_cast<std::size_t>(padded - total), 0);
      all.append(all.select(repeated));
    }
    sampler.sample(z_, all, drawn_);
    samples_ += static_cast<std::uint64_t>(total);
    ++batches_;
    for (at = 0; done < together.size(); ++done) {
      const Waiting& each = together[done];
      const auto count = static_cast<std::size_t>(each.order.plan.total);
      const std::span<float> samples = std::span(drawn_).subspan(at * size, count * size);
      try {
        sampler.require_finite(samples, each.order.options.first);
        each.finish(answer(each.order, samples, std::span(z_).subspan(at * latent, count * latent), rows[done]));
      } catch (...) {  // the other orders do not depend on this one
        each.fail(std::current_exception());
      }
      at += count;
    }
  } catch (...) {
    for (; done < together.size(); ++done) together[done].fail(std::current_exception());
  }
  constexpr std::size_t kKept = std::size_t{1} << 20;  // elements; memory that only a large order needs is freed
  if (drawn_.capacity() > kKept) std::vector<float>().swap(drawn_);
  if (z_.capacity() > kKept) std::vector<float>().swap(z_);
}

}  // namespace gan::serve
