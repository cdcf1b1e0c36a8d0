#include "cli/timings.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/device.h"
#include "cli/machine.h"
#include "train/step.h"

namespace gan::cli {

using Json = nlohmann::ordered_json;

namespace {

/// "" where there is no cache folder.
std::string timings_file() {
  const std::string folder = device_cache("");
  return folder.empty() ? "" : (std::filesystem::path(folder) / "timings.json").string();
}

/// The entries of the file, each an object; an empty array if it is missing or damaged.
Json read_entries() {
  Json entries = Json::array();
  if (timings_file().empty()) return entries;
  try {
    const Json json = Json::parse(base::read_file(timings_file()), nullptr, /*allow_exceptions=*/false);
    for (const Json& entry : json)
      if (entry.is_object()) entries.push_back(entry);
  } catch (const base::Error&) {  // no such file
  }
  return entries;
}

/// What two timings must share to be compared.
Json conditions_of(int threads, const std::string& precision) {
  return {{"processor", processor_name()}, {"threads", threads}, {"precision", precision}};
}

bool agree(const Json& entry, const Json& with) {
  return std::ranges::all_of(
      with.items(), [&](const auto& item) { return entry.contains(item.key()) && entry[item.key()] == item.value(); });
}

double number(const Json& entry, const char* key) {
  return entry.contains(key) && entry[key].is_number() ? entry[key].get<double>() : 0;
}

double graph_operations(const graph::Graph& graph) {
  double sum = 0;
  for (const graph::Node& node : graph.nodes())
    if (node.op && node.op->describe) sum += operations(node.op->describe(graph, node));
  return sum;
}

}  // namespace

double step_operations(const train::Config& config, const models::ModelSpec& spec) {
  graph::Graph graph;
  train::build_step(graph, config, spec, {.batch = config.train.batch});
  return graph_operations(graph);
}

double sample_operations(const train::Model& model, std::int64_t batch) {
  graph::Graph graph;
  train::build_sampler(graph, model.config, train::model_spec(model), batch);
  return graph_operations(graph);
}

Timings read_timings(int threads, const std::string& precision) {
  Timings timings;
  const Json conditions = conditions_of(threads, precision);
  for (const Json& entry : read_entries()) {
    if (!agree(entry, conditions) || !entry.contains("gpu") || !entry["gpu"].is_string()) continue;
    const Timing timing{entry["gpu"], number(entry, "operations"), number(entry, "seconds")};
    if (timing.operations > 0 && timing.seconds > 0) timings.push_back(timing);
  }
  return timings;
}

void keep_timing(int threads, const std::string& precision, const Timing& timing) {
  if (timings_file().empty()) return;
  Json entry = conditions_of(threads, precision);
  entry["gpu"] = timing.gpu;
  entry["operations"] = timing.operations;
  Json kept = Json::array();
  for (const Json& other : read_entries())
    if (!agree(other, entry)) kept.push_back(other);
  entry["seconds"] = timing.seconds;
  kept.push_back(entry);
  try {
    base::create_folder(device_cache(""));
    base::write_file(timings_file(), kept.dump(2) + "\n");
  } catch (const base::Error&) {  // auto chooses as if nothing had been timed
  }
}

std::optional<Timing> estimate(const Timings& timings, bool on_gpu, double operations) {
  const auto distance = [&](const Timing& timing) { return std::abs(std::log(timing.operations / operations)); };
  std::optional<Timing> nearest;
  for (const Timing& timing : timings)
    if (timing.gpu.empty() != on_gpu && (!nearest || distance(timing) < distance(*nearest))) nearest = timing;
  if (!nearest) return std::nullopt;
  const double share = operations / nearest->operations;
  nearest->seconds *= on_gpu ? std::max(share, 1.0) : share;
  return nearest;
}

}  // namespace gan::cli
