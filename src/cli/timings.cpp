#include "cli/timings.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "cli/machine.h"
#include "train/step.h"

namespace gan::cli {

using Json = nlohmann::ordered_json;

namespace {

std::string file_in(const std::string& cache) { return (std::filesystem::path(cache) / "timings.json").string(); }

/// The entries of the file, each an object; an empty array if it is missing or damaged.
Json read_entries(const std::string& cache) {
  Json entries = Json::array();
  if (cache.empty()) return entries;
  try {
    const Json json = Json::parse(base::read_file(file_in(cache)), nullptr, /*allow_exceptions=*/false);
    for (const Json& entry : json)
      if (entry.is_object()) entries.push_back(entry);
  } catch (const base::Error&) {  // no such file
  }
  return entries;
}

/// What two timings must share to be compared.
Json machine_of(int threads) { return {{"processor", processor_name()}, {"threads", threads}}; }

bool agree(const Json& entry, const Json& with) {
  return std::ranges::all_of(
      with.items(), [&](const auto& item) { return entry.contains(item.key()) && entry[item.key()] == item.value(); });
}

double number(const Json& entry, const char* key) {
  return entry.contains(key) && entry[key].is_number() ? entry[key].get<double>() : 0;
}

}  // namespace

double step_operations(const train::Config& config, const models::ModelSpec& spec) {
  graph::Graph graph;
  train::build_step(graph, config, spec, {.batch = config.train.batch});
  double sum = 0;
  for (const graph::Node& node : graph.nodes())
    if (node.op && node.op->describe) sum += operations(node.op->describe(graph, node));
  return sum;
}

std::vector<Timing> read_timings(const std::string& cache, int threads) {
  std::vector<Timing> timings;
  const Json machine = machine_of(threads);
  for (const Json& entry : read_entries(cache)) {
    const Timing timing{entry.contains("device") && entry["device"] == "cuda", number(entry, "operations"),
                        number(entry, "seconds")};
    if (agree(entry, machine) && timing.operations > 0 && timing.seconds > 0) timings.push_back(timing);
  }
  return timings;
}

void keep_timing(const std::string& cache, int threads, const Timing& timing) {
  if (cache.empty()) return;
  Json entry = machine_of(threads);
  entry["device"] = timing.on_gpu ? "cuda" : "cpu";
  entry["operations"] = timing.operations;
  Json kept = Json::array();
  for (const Json& other : read_entries(cache))
    if (!agree(other, entry)) kept.push_back(other);
  entry["seconds"] = timing.seconds;
  kept.push_back(entry);
  try {
    base::create_folder(cache);
    base::write_file(file_in(cache), kept.dump(2) + "\n");
  } catch (const base::Error&) {  // auto chooses as if nothing had been timed
  }
}

std::optional<double> estimate(const std::vector<Timing>& timings, bool on_gpu, double operations) {
  const auto distance = [&](const Timing& timing) { return std::abs(std::log(timing.operations / operations)); };
  const Timing* nearest = nullptr;
  for (const Timing& timing : timings)
    if (timing.on_gpu == on_gpu && (!nearest || distance(timing) < distance(*nearest))) nearest = &timing;
  if (!nearest) return std::nullopt;
  const double share = operations / nearest->operations;
  return nearest->seconds * (on_gpu ? std::max(share, 1.0) : share);
}

}  // namespace gan::cli
