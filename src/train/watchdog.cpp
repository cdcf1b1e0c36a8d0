#include "train/watchdog.h"

#include <fmt/core.h>

#include <algorithm>
#include <tuple>
#include <utility>

namespace gan::train {

namespace {

// Limits between runs that work and runs that do not; docs/design/0017 has what was measured on both.
constexpr double kIgnored = 0.15;       // condition
constexpr double kAlike = 0.06;         // spread
constexpr double kPatience = 10;        // checks in which a rising condition or spread may reach its limit
constexpr double kAlwaysRight = 0.999;  // d_wins
constexpr double kConstant = 1e-6;      // d_deviation
constexpr double kVanished = 1e-4;      // gradient_g, of the largest so far
constexpr double kGrown = 20;           // length_g and length_d, of those at the first check

/// 0.0123 as "1.2%".
std::string percent(double share) { return fmt::format("{:.2g}%", 100 * share); }

bool is_penalized(const Config& config) {
  return std::ranges::any_of(config.penalty.weights, [](const auto& entry) { return entry.second > 0; });
}

constexpr const char* kPenalties = "--set penalty.r1=0.3 --set penalty.r2=0.3 --set penalty.every=4";

/// The remedy for a condition without effect.
std::string follow_condition(const Config& config) {
  const auto& g = config.model.g;
  if (g.spectral_norm && !g.gain)
    return "spectral norm without a gain makes G too flat: --set model.g.gain=true --set model.g.batch_norm=true, and "
           "a "
           "gradient penalty (the presets tutorial-bce-repaired and tutorial-lsgan-repaired)";
  if (config.model.d.condition != "projection" && config.model.kind != "cgan-paper")
    return "a D that judges the condition more sharply: --set model.d.condition=projection";
  return std::string("a gradient penalty and a lower rate of D: ") + kPenalties;
}

/// The remedy for samples that are all alike.
std::string differ(const Config& config) {
  if (config.model.g.spectral_norm && !config.model.g.gain) return follow_condition(config);
  if (!is_penalized(config)) return std::string("a gradient penalty: ") + kPenalties;
  if (config.model.pack == 1) return "a D that judges several samples together (--set model.pack=2), or more data";
  return "more data, or a lower rate of D (optim.d.lr)";
}

}  // namespace

std::vector<std::pair<std::string, double>> figures(const Measurements& found) {
  std::vector<std::pair<std::string, double>> list;
  if (found.condition) list.emplace_back("condition", *found.condition);
  if (found.spread) list.emplace_back("spread", *found.spread);
  list.insert(list.end(), {{"d_wins", found.d_wins},
                           {"d_deviation", found.d_deviation},
                           {"gradient_g", found.gradient_g},
                           {"gradient_d", found.gradient_d},
                           {"length_g", found.length_g},
                           {"length_d", found.length_d}});
  return list;
}

Watchdog::Watchdog(const Config& config, const data::ConditionSpec& condition, bool images)
    : config_(config), sample_(images ? "picture" : "row") {
  if (condition.empty()) return;
  const data::ConditionColumn& first = condition.columns[0];
  const bool single = condition.columns.size() == 1;
  label_ = !single ? "condition" : first.is_numeric() ? first.name : "label";
  of_one_ = single && !first.is_numeric() ? " of a class" : " of one condition";
}

bool Watchdog::is_young(std::int64_t step) const {
  const double updates = static_cast<double>(step / config_.train.d_steps);
  return step < config_.watchdog.after || (!config_.train.ema_warmup && updates * (1 - config_.train.ema) < 0.99);
}

std::vector<std::string> Watchdog::judge(std::int64_t step, const Measurements& found, WatchState& state) const {
  std::vector<std::string> warnings;
  const auto reference = [&](const char* name, double now) -> double& {
    return state.references.try_emplace(name, now).first->second;
  };
  double& largest = reference("gradient_g", found.gradient_g);
  largest = std::max(largest, found.gradient_g);
  const double length_g = reference("length_g", found.length_g), length_d = reference("length_d", found.length_d);

  const auto check = [&](const char* kind, bool seen, const std::string& text) {
    std::int64_t& in_a_row = state.seen[kind];
    in_a_row = seen && !is_young(step) ? in_a_row + 1 : 0;
    if (in_a_row >= kChecks && state.said.insert(kind).second) warnings.push_back(text);
  };
  // Some runs that work pass through such a state, and leave it visibly.
  const auto stays_below = [&](const char* name, double now, double limit) {
    const double before = std::exchange(reference(name, now), now);
    return now < limit && now - before < (limit - now) / kPatience;
  };
  if (found.condition)
    check("condition", stays_below("condition", *found.condition, kIgnored),
          fmt::format("G draws one {} for every {}: another {} moves its samples by {} of what it changes in the data; "
                      "the usual remedy: {}",
                      sample_, label_, label_, percent(*found.condition), follow_condition(config_)));
  if (found.spread)
    check("spread", stays_below("spread", *found.spread, kAlike),
          fmt::format("samples{} are all alike: they vary by {} of what the data does (collapse); the usual remedy: {}",
                      of_one_, percent(*found.spread), differ(config_)));
  const bool vanished = found.gradient_g < kVanished * largest;
  // A penalized D leaves G gradients to follow, and a Wasserstein critic is meant to be right.
  const bool harmless = (is_penalized(config_) || config_.loss.name == "wasserstein") && !vanished;
  check("d_wins", found.d_wins >= kAlwaysRight && !harmless,
        fmt::format(
            "D wins: it tells every sample from real data; the usual remedy: a gradient penalty ({}), a lower rate "
            "of D (optim.d.lr), or noise on what D sees (--set augment.noise=0.1)",
            kPenalties));
  check("d_dead", found.d_deviation < kConstant,
        "D is dead: it gives every row the same output, so G learns nothing; the usual remedy: --set "
        "model.d.activation=leaky_relu and a lower rate of D (optim.d.lr)");
  check(
      "g_vanishes", vanished,
      fmt::format("G's gradients have vanished: {:.2g} of the largest; the usual remedy: a loss that does not saturate "
                  "(no Sigmoid in least squares, loss.saturating=false in bce) and a gradient penalty ({})",
                  largest > 0 ? found.gradient_g / largest : 0.0, kPenalties));
  for (const auto& [name, now, first] : {std::tuple{"G", found.length_g, length_g}, {"D", found.length_d, length_d}})
    check(fmt::format("growing_{}", name).c_str(), now > kGrown * first,
          fmt::format("{}'s weights grow without end: {:.0f} times as long as at the first check; the usual remedy: a "
                      "lower rate, or a gradient penalty ({})",
                      name, first > 0 ? now / first : 0.0, kPenalties));
  return warnings;
}

}  // namespace gan::train
