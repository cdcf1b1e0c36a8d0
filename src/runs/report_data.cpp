#include "runs/report_data.h"

#include <fmt/core.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <optional>
#include <span>
#include <sstream>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "runs/files.h"
#include "train/model_file.h"

namespace gan::runs {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

// Limits, so that the page opens quickly. Beyond them an evenly spaced selection of pictures is taken.
constexpr std::size_t kMostPictures = 60;
constexpr std::uintmax_t kMostPictureBytes = 16'000'000;
constexpr std::int64_t kMostRowLabels = 20;  // most labels for the rows of the trainer's pictures

/// The content of a PNG file as base64.
std::string read_picture(const std::string& path) {
  const std::string bytes = base::read_file(path);
  if (!bytes.starts_with("\x89PNG\r\n\x1a\n")) base::fail_data("{}: not a PNG file", path);
  return base::base64(bytes);
}

bool is_square(const Json& table) {
  return table.is_array() && std::ranges::all_of(table, [&](const Json& row) {
           return row.is_array() && row.size() == table.size() &&
                  std::ranges::all_of(row, [](const Json& value) { return value.is_number(); });
         });
}

bool is_objects(const Json& list) {
  return list.is_array() && std::ranges::all_of(list, [](const Json& item) { return item.is_object(); });
}

/// The warnings of the watchdog, [{"step", "text"}]; invalid ones are left out.
Json read_warnings(const std::string& path) {
  Json warnings = Json::array();
  if (!fs::exists(path)) return warnings;
  std::istringstream lines(base::read_file(path));
  for (std::string text; std::getline(lines, text);) {
    const std::optional<Json> line = parse_json(text);
    if (!line || !line->is_object()) continue;
    const Json step = line->value("step", Json()), texts = line->value("watch.warnings", Json());
    if (!step.is_number_integer() || !texts.is_array()) continue;
    for (const Json& each : texts)
      if (each.is_string()) warnings.push_back({{"step", step}, {"text", each}});
  }
  return warnings;
}

/// Reads eval.json; null if it is missing. Only values that the page uses are checked.
Json read_eval(const std::string& path, const std::string& command) {
  if (!fs::exists(path)) return nullptr;
  std::optional<Json> eval = parse_json(base::read_file(path));
  if (!eval || !eval->is_object()) base::fail_data("{}: not a JSON object; make it again with: {}", path, command);
  for (auto it = eval->begin(); it != eval->end();)
    if (it->is_null())
      it = eval->erase(it);
    else
      ++it;
  const auto require = [&](const char* key, auto&& fits, const char* expected) {
    if (eval->contains(key) && !fits((*eval)[key]))
      base::fail_data("{}: \"{}\" is not {}; make it again with: {}", path, key, expected, command);
  };
  for (const char* key :
       {"label_accuracy", "fd", "precision", "recall", "density", "coverage", "samples", "steps", "score"})
    require(
        key, [](const Json& value) { return value.is_number(); }, "a number");
  require("confusion", is_square, "a square table of numbers");
  require("per_class", is_objects, "a list of objects");
  for (const char* key : {"fd_curve", "numbers", "columns"}) require(key, is_objects, "a list of objects");
  const auto has_pairs = [](const Json& value) {
    return value.is_object() && is_objects(value.value("pairs", Json::array()));
  };
  require("correlations", has_pairs, "an object with a list of pairs");
  require("missing", is_reasons, "an object of texts");
  return *eval;
}

/// The pictures in samples/, in order of their steps. Of many pictures that would be part of the page, an evenly spaced
/// selection is taken.
Json read_samples(const fs::path& folder, const std::string& url) {
  const std::vector<std::int64_t> steps = picture_steps(folder.string());
  const auto path = [&](std::int64_t step) { return folder / fmt::format("{}.png", step); };
  Json pictures = Json::array();
  if (!url.empty()) {
    for (const std::int64_t step : steps)
      pictures.push_back({{"step", step}, {"url", fmt::format("{}/pictures/{}.png", url, step)}});
    return {{"found", steps.size()}, {"pictures", std::move(pictures)}};
  }
  std::uintmax_t largest = 1;
  for (const std::int64_t step : steps) largest = std::max(largest, fs::file_size(path(step)));
  const std::size_t most = std::clamp<std::size_t>(kMostPictureBytes / largest, 2, kMostPictures);
  const std::size_t shown = std::min(steps.size(), most);
  for (std::size_t i = 0; i < shown; ++i) {  // the first, the last, and evenly spaced ones between
    const std::int64_t step = steps[shown == 1 ? 0 : i * (steps.size() - 1) / (shown - 1)];
    pictures.push_back({{"step", step}, {"png", read_picture(path(step).string())}});
  }
  return {{"found", steps.size()}, {"pictures", std::move(pictures)}};
}

std::string network_text(const train::NetworkConfig& network, const train::Model& model, const char* name) {
  std::int64_t weights = 0;
  for (const auto& [key, array] : model.weights)
    if (key.starts_with(name)) weights += array.type().elements();
  return fmt::format("{} {}; {}", model.config.model.kind, fmt::join(network.widths, "-"),
                     base::counted(weights, "weight"));
}

/// The rows [name, text] of the summary table.
Json facts(const train::Config& config, const std::optional<train::Model>& model) {
  Json rows = Json::array();
  const auto row = [&](const char* name, const std::string& text) { rows.push_back({name, text}); };
  row("preset", config.preset);
  row("data", model ? fmt::format("{}, sha256 {}", config.data.source, model->data_hash) : config.data.source);
  if (model) {
    row("samples", fmt::format("{} {}, {}", model->sample_shape.size() == 3 ? "images" : "vectors",
                               graph::to_string(model->sample_shape), model->condition.text()));
    row("generator", network_text(config.model.g, *model, "generator."));
    row("discriminator", network_text(config.model.d, *model, "discriminator."));
  }
  std::string loss = config.loss.name;
  for (const auto& [name, weight] : config.penalty.weights)
    if (weight > 0) loss += fmt::format(", {} {}", name, weight);
  row("loss", loss);
  row("optimizer",
      fmt::format("{}, learning rates {} (G) and {} (D)", config.optim.name, config.optim.g.lr, config.optim.d.lr));
  row("batch", std::to_string(config.train.batch));
  row("seed", std::to_string(config.train.seed));
  row("precision", config.train.precision);
  return rows;
}

/// The name of a run's folder, also for paths such as . and a/.
std::string folder_name(const std::string& run) {
  return (fs::absolute(run) / "").lexically_normal().parent_path().filename().string();
}

/// The commands with which users can make missing parts of the report.
Json hints(const std::string& run, const train::Config& config, bool has_model) {
  const std::string quoted = base::shell_quoted(run);
  const fs::path beside = (fs::path(run) / ".." / (folder_name(run) + "-2")).lexically_normal();
  const std::string again =
      fmt::format("gan train --config {} --out {}", base::shell_quoted((fs::path(run) / "config.toml").string()),
                  base::shell_quoted(beside.string()));
  const std::string resume = fmt::format("gan train --resume --out {}", quoted);
  return {{"again", again},
          {"log", again + " --set train.log_every=1"},
          {"pictures", again + " --set train.sample_every=10"},
          {"scores", again + " --eval-every 500"},
          {"samples", has_model ? fmt::format("gan sample {} --out samples.npy", quoted) : resume},
          {"eval", (has_model ? "" : resume + " && ") +
                       fmt::format("gan eval {} --data {} --out {}", quoted, base::shell_quoted(config.data.source),
                                   base::shell_quoted((fs::path(run) / "eval").string()))}};
}

}  // namespace

std::vector<std::int64_t> picture_steps(const std::string& folder) {
  std::vector<std::int64_t> steps;
  std::error_code ignored;
  for (const fs::directory_entry& entry : fs::directory_iterator(folder, ignored)) {
    const std::string name = entry.path().filename().string();
    std::int64_t step = 0;
    std::from_chars(name.data(), name.data() + name.size(), step);
    if (name == fmt::format("{}.png", step)) steps.push_back(step);
  }
  std::ranges::sort(steps);
  return steps;
}

Json report_data(const std::string& run, const std::string& url) {
  const auto path = [&](const char* name) { return (fs::path(run) / name).string(); };
  if (!fs::is_directory(run)) base::fail_data("{}: no such folder; give the folder of a run", run);
  if (!fs::exists(path("config.toml")))
    base::fail_data("{}: no config.toml in it, so it is not the folder of a run; gan train --out {} makes one", run,
                    base::shell_quoted(run));
  const std::string config_text = base::read_file(path("config.toml"));
  const train::Config config = train::read_run_config(path("config.toml"));
  std::optional<train::Model> model;
  Json data{{"version", GAN_VERSION}, {"run", run}, {"name", folder_name(run)}, {"notes", Json::array()}};
  try {
    if (fs::exists(path("model.safetensors"))) model = train::load_model(run);
  } catch (const std::exception&) {
    if (url.empty()) throw;
    data["notes"].push_back("model.safetensors cannot be read.");
  }
  data["hints"] = hints(run, config, model.has_value());
  static constexpr const char* kMetrics[] = {"loss_g",         "loss_d",         "d_real",          "d_fake",
                                             "grad_norm_g",    "grad_norm_d",    "watch.condition", "watch.spread",
                                             "watch.d_wins",   "watch.length_g", "watch.length_d",  "images_per_second",
                                             "elapsed_seconds"};
  static constexpr const char* kScores[] = {"label_accuracy", "fd",          "precision",    "recall", "density",
                                            "coverage",       "modes_found", "high_quality", "ks",     "score"};
  data["metrics"] = read_lines(path("metrics.jsonl"), kMetrics, data["notes"]);
  data["warnings"] = read_warnings(path("metrics.jsonl"));
  data["scores"] = read_lines(path("scores.jsonl"), kScores, data["notes"]);
  data["eval"] = read_eval(path("eval/eval.json"), data["hints"]["eval"].get<std::string>());
  const auto picture = [&](const char* name) {
    if (!fs::exists(path(name))) return Json();
    return url.empty() ? Json(read_picture(path(name))) : Json(fmt::format("{}/{}", url, name));
  };
  data["eval_samples"] = picture("eval/samples.png");
  data["neighbours"] = picture("eval/neighbours.png");
  data["samples"] = read_samples(path("samples"), url);
  data["samples"]["why"] = model ? "Samples of this shape cannot be drawn. To write some as an array:"
                                 : "Nothing was saved yet. To resume the run:";

  data["conditional"] = model ? !model->condition.empty() : !config.data.unconditional;
  data["vectors"] = model && model->sample_shape.size() == 1;
  data["class_names"] = model ? model->condition.class_names() : std::vector<std::string>();
  data["steps"] = model ? model->steps : 0;
  // In the trainer's pictures of images each row has another value of the condition, see values_in_turn.
  Json labels = Json::array();
  if (model && model->sample_shape.size() == 3 && !model->condition.empty()) {
    const std::int64_t shown = std::min(data::values_period(model->condition), kMostRowLabels);
    const data::ConditionRows rows = data::values_in_turn(model->condition, shown);
    for (std::int64_t row = 0; row < shown; ++row) labels.push_back(data::row_text(model->condition, rows, row));
  }
  data["samples"]["row_labels"] = labels;
  std::string duration;
  if (data["metrics"].is_object() && data["metrics"].contains("elapsed_seconds")) {
    const Json& last = data["metrics"]["elapsed_seconds"].back();
    if (last.is_number()) duration = base::duration_text(last.get<double>());
  }
  data["trained_for"] = duration;
  data["summary"] = fmt::format("{} on {}", config.preset, model ? model->data_name : config.data.source);
  data["facts"] = facts(config, model);
  data["commands"] = fs::exists(path("command.txt")) ? Json(base::read_file(path("command.txt"))) : Json();
  data["config"] = config_text;
  return data;
}

}  // namespace gan::runs
