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

#include "data/reader.h"
#include "data/vicinity.h"
#include "losses/loss.h"
#include "models/model.h"
#include "nn/augment.h"

namespace gan::train {

using NetworkConfig = models::NetworkSpec;

/// All values of a training run. The table in config_keys.cpp gives the meaning and the range of each; reading,
/// printing and comparing use it.
struct Config {
  std::string preset;

  struct Data : data::ReadOptions {
    std::string source;
    bool unconditional = false;
    std::int64_t block = 0;
  } data;

  struct Model : models::NetworkPair {
    Model() : NetworkPair{.g = {.widths = {64, 128, 256, 512, 1024}}, .d = {.widths = {1024, 512, 256, 128, 64}}} {}
    std::string kind = "mlp";
    std::string latent_distribution = "normal";
  } model;

  struct Loss : losses::LossSpec {
    std::string name = "bce";
    std::string coding = "zero-one";
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

  struct Augment : nn::AugmentOptions {
    double noise = 0;
    std::int64_t noise_steps = 0;
  } augment;

  struct Optim {
    std::string name = "adam";
    struct Network {
      double lr = 3e-4;
    } g, d;
    double beta1 = 0.9, beta2 = 0.999;
    double epsilon = 1e-8, epsilon_final = 0;
    double momentum = 0, momentum_final = 0;
    std::int64_t momentum_steps = 0;
    double weight_decay = 0;
    std::string schedule = "constant";
    std::int64_t schedule_start = 0, schedule_steps = 10000;
    double schedule_final = 0.1, schedule_share = 0.5;
    std::int64_t warmup = 0;
  } optim;

  struct Train {
    std::int64_t batch = 64;
    std::int64_t parts = 1;
    std::int64_t seed = 1;
    std::int64_t steps = 0, epochs = 0;
    double time = 0;  // seconds
    std::int64_t d_steps = 1;
    std::string balance = "none";
    data::VicinalOptions vicinal;
    double ema = 0.998;
    bool ema_warmup = false;
    std::int64_t checkpoint_every = 1000;
    std::int64_t log_every = 50;
    std::int64_t sample_every = 1000;
    std::int64_t eval_every = 0;
    std::int64_t stop_when = 0;
    std::string on_nan = "retry";
    std::string precision = "auto";
    std::int64_t threads = 0;
  } train;

  struct Watchdog {
    std::int64_t every = 100, after = 500;
  } watchdog;
};

/// Overwrites values of `config` with those of a TOML text; `where` names the text in messages. A top-level
/// `description` is allowed and ignored. Throws a usage error, with the line, for broken TOML, an unknown key, a value
/// of the wrong type or out of range, and more than one of train.steps, train.epochs and train.time.
void apply_toml(Config& config, std::string_view text, const std::string& where);

/// Overwrites values of `config` with `key=value` settings, in order. Throws usage errors as apply_toml does.
void apply_settings(Config& config, std::span<const std::string> settings);

/// The top-level `preset` of a TOML text, "" if it has none. Throws a usage error for broken TOML.
std::string preset_of_toml(std::string_view text, const std::string& where);

/// Throws a usage error if values contradict each other, or none of train.steps, train.epochs and train.time is set.
void validate(const Config& config);

/// Every value as TOML, with a comment each. The same config gives the same text, and reading it gives the same config.
std::string to_toml(const Config& config);

/// The values that a model file keeps: {"model.latent": 64, ...}. Values that may differ between runs of the same model
/// are left out (the source's path, steps or time, intervals, threads).
nlohmann::ordered_json to_json(const Config& config);

/// Reads what to_json wrote; keys that are missing keep their defaults. Throws a data error that begins with `where`.
Config config_of_json(const nlohmann::ordered_json& json, const std::string& where);

/// Names of the keys whose values differ, in the table's order.
std::vector<std::string> differing_keys(const Config& a, const Config& b);

/// The values that --resume may change, for messages.
inline constexpr const char* kResumable =
    "only --steps, --epochs, --time, --data, --precision, --threads, --stop-when, --on-nan, train.parts, "
    "watchdog.after and the intervals of logging, samples, evaluation, checkpoints and the watchdog may change";

/// Names of the keys whose values differ but must not change when a run is resumed (all but those of kResumable).
std::vector<std::string> fixed_differences(const Config& saved, const Config& wanted);

/// Throws a usage error that names the first of fixed_differences, if there is one.
void require_resumable(const Config& saved, const Config& wanted);

/// The values of a run from its config.toml, which is `path`. Throws a data error naming the file, and the line, if it
/// is not a run's.
Config read_run_config(const std::string& path);
/// The same from the text of the file.
Config run_config_of(std::string_view text, const std::string& path);

/// The value of a key as it is written in TOML. Throws a usage error for an unknown key.
std::string value_of(const Config& config, std::string_view key);

/// Names of every key that `--set` knows.
std::vector<std::string> config_keys();

/// Seconds of "90", "90s", "3m", "1h30m"; nullopt if the text is not a duration.
std::optional<double> parse_duration(std::string_view text);

}  // namespace gan::train
