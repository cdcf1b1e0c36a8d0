#include "train/checkpoint.h"

#include <deque>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"
#include "base/text.h"
#include "train/variables_file.h"

namespace gan::train {

namespace {
constexpr const char* kCheckpointFormat = "gan.cpp checkpoint";
}

void save_checkpoint(const std::string& path, const Position& position, const std::vector<nn::Variable>& variables,
                     const runtime::State& state) {
  std::vector<io::NamedArray> tensors;
  std::deque<runtime::Array> arrays;
  for (const nn::Variable& variable : variables)
    tensors.push_back({variable.name, &arrays.emplace_back(state.at(variable.name).on_host())});
  nlohmann::ordered_json json{{"steps", position.steps},
                              {"elapsed_seconds", position.elapsed_seconds},
                              {"threads", position.threads},
                              {"data", position.data_hash},
                              {"class_names", position.class_names}};
  if (position.config) json["config"] = to_json(*position.config);
  json["retries"] = position.retries;
  if (!position.device.empty()) json["device"] = position.device;
  if (position.good_steps) json["good_steps"] = *position.good_steps;
  if (position.ranks > 1) json["ranks"] = position.ranks;
  if (position.parts > 1) json["parts"] = position.parts;
  json["watch"] = {
      {"seen", position.watch.seen}, {"said", position.watch.said}, {"references", position.watch.references}};
  io::write_safetensors(
      path, {{"format", kCheckpointFormat}, {"library", kLibrary}, {"version", "1"}, {"position", json.dump()}},
      tensors);
}

Position load_checkpoint(const std::string& path, const std::vector<nn::Variable>& variables, runtime::State& state,
                         const std::function<void(const Position&)>& accept) {
  io::Safetensors file = io::read_safetensors(path);
  if (file.metadata["format"] != kCheckpointFormat || file.metadata["version"] != "1")
    base::fail_data("{}: not a checkpoint that this program reads (format \"{}\", version \"{}\")", path,
                    file.metadata["format"], file.metadata["version"]);
  Position position;
  try {
    const auto json = nlohmann::ordered_json::parse(file.metadata["position"]);
    if (!json.at("steps").is_number_integer())
      base::fail_data("{}: \"steps\" is {}, expected a whole number", path, json.at("steps").dump());
    position = {json.at("steps").get<std::int64_t>(), json.at("elapsed_seconds").get<double>(),
                json.at("threads").get<int>(), json.at("data").get<std::string>(),
                json.value("class_names", std::vector<std::string>())};
    if (json.contains("config")) position.config = config_of_json(json.at("config"), path);
    position.retries = json.value("retries", 0);
    position.device = json.value("device", "");
    if (json.contains("good_steps")) position.good_steps = json.at("good_steps").get<std::int64_t>();
    position.ranks = json.value("ranks", std::int64_t{1});
    position.parts = json.value("parts", std::int64_t{1});
    if (json.contains("watch")) {
      const auto& watch = json.at("watch");
      position.watch.seen = watch.at("seen").get<decltype(WatchState::seen)>();
      position.watch.said = watch.at("said").get<decltype(WatchState::said)>();
      position.watch.references = watch.at("references").get<decltype(WatchState::references)>();
    }
  } catch (const nlohmann::json::exception& error) {
    base::fail_data("{}: the position of the run cannot be read: {}", path, base::reason_of(error));
  }
  if (position.steps < 0 || !(position.elapsed_seconds >= 0))
    base::fail_data("{}: says {} in {} seconds, expected neither to be negative", path,
                    base::counted(position.steps, "step"), position.elapsed_seconds);
  if (position.retries < 0 || position.good_steps.value_or(0) < 0)
    base::fail_data("{}: says {} retries from step {}, expected neither to be negative", path, position.retries,
                    position.good_steps.value_or(0));
  accept(position);
  take_variables(path, file, variables, state);
  return position;
}

}  // namespace gan::train
