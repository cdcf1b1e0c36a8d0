#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <nlohmann/json_fwd.hpp>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "models/model.h"

namespace gan::train {

using NetworkConfig = models::NetworkSpec;

/// Everything that decides a training run. What each value means and may be is said once, in the table of config.cpp,
/// which reading, printing and comparing go by.
struct Config {
  std::string preset;

  struct Data {
    std::string source;
    bool unconditional = false;
  } data;

  struct Model {
    std::string kind = "mlp";
    std::int64_t latent = 64;
    std::string latent_distribution = "normal";
    std::int64_t embedding = 32;
    std::int64_t pack = 1;
    NetworkConfig g{.widths = {64, 128, 256, 512, 1024}};
    NetworkConfig d{.widths = {1024, 512, 256, 128, 64}};
  } model;

  struct Loss {
    std::string name = "bce";
    bool saturating = false;
    std::string coding = "zero-one";
    double a = 0, b = 1, c = 1;
    bool sigmoid = false;
    double smoothing = 0;
    double auxiliary = 1;
  } loss;

  struct Penalty {
    std::map<std::string, double, std::less<>> weights;  // by the penalty's name; missing: 0
    std::int64_t every = 1;
    double weight(std::string_view name) const {
      const auto found = weights.find(name);
      return found == weights.end() ? 0 : found->second;
    }
  } penalty;

  struct Augment {
    double translation = 0, cutout = 0, brightness = 0;
    double noise = 0;
    std::int64_t noise_steps = 0;
  } augment;

  struct Optim {
    std::string name = "adam";
    struct Network {
      double lr = 3e-4;
    } g, d;
    double beta1 = 0.9, beta2 = 0.999;
    double epsilon = 1e-8;
    double momentum = 0, momentum_final = 0;
    std::int64_t momentum_steps = 0;
    double weight_decay = 0;
    std::string schedule = "constant";
    std::int64_t schedule_start = 0, schedule_steps = 10000;
    double schedule_final = 0.1;
    std::int64_t warmup = 0;
  } optim;

  struct Train {
    std::int64_t batch = 64;
    std::int64_t seed = 1;
    std::int64_t steps = 0, epochs = 0;
    double time = 0;  // seconds
    std::int64_t d_steps = 1;
    double ema = 0.998;
    bool ema_warmup = false;
    std::int64_t checkpoint_every = 1000;
    std::int64_t log_every = 50;
    std::int64_t sample_every = 1000;
    std::int64_t eval_every = 0;
    std::string precision = "auto";
    std::int64_t threads = 0;
  } train;
};

/// Puts the values of a TOML text over those of `config`; `where` names the text in messages. A top-level `description`
/// is allowed and ignored. Throws a usage error, with the line, for broken TOML, an unknown key, a value of the wrong
/// type or out of range, and more than one of train.steps, train.epochs and train.time.
void apply_toml(Config& config, std::string_view text, const std::string& where);

/// Puts `key=value` settings over the values of `config`, in their order. Throws usage errors as apply_toml does.
void apply_settings(Config& config, std::span<const std::string> settings);

/// The top-level `preset` of a TOML text, "" if it has none. Throws a usage error for broken TOML.
std::string preset_of_toml(std::string_view text, const std::string& where);

/// Throws a usage error if values that are right by themselves do not go together, or nothing says how long to train.
void validate(const Config& config);

/// Every value as TOML, with a comment each. The same config gives the same text, and reading it gives the same config.
std::string to_toml(const Config& config);

/// The values that a model file keeps: {"model.latent": 64, ...}. Left out are those that equal runs may differ in
/// (the source's path, budget, intervals, threads).
nlohmann::ordered_json to_json(const Config& config);

/// Reads what to_json wrote; keys that are missing keep their defaults. Throws a data error that begins with `where`.
Config config_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Names of the keys whose values differ, in the table's order.
std::vector<std::string> differing_keys(const Config& a, const Config& b);

/// What may be given anew when a run is resumed, for messages: "only the budget, ... may be given anew".
inline constexpr const char* kResumable =
    "only the budget, the data's place, precision, threads and the intervals of logging, samples, evaluation and "
    "checkpoints may be given anew";

/// Names of the keys whose values differ and must not when a run is resumed: all but those of kResumable.
std::vector<std::string> fixed_differences(const Config& saved, const Config& wanted);

/// Throws a usage error that names the first of fixed_differences, if there is one.
void require_resumable(const Config& saved, const Config& wanted);

/// The values of a run from its config.toml. Throws a data error naming the file, and the line, if no run has written
/// it so.
Config read_run_config(const std::string& path);

/// The value of a key as it is written in TOML. Throws a usage error for an unknown key.
std::string value_of(const Config& config, std::string_view key);

/// Names of every key that `--set` knows.
std::vector<std::string> config_keys();

/// Seconds of "90", "90s", "3m", "1h30m"; nothing if the text is no duration.
std::optional<double> parse_duration(std::string_view text);

}  // namespace gan::train
