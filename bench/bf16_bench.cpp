// How far bf16 moves D's gradients and the penalties of a preset from f32, on networks trained for a while.
//
//   bf16_bench --preset lsgan-r1r2 --steps 300
//
// Trains in f32, then takes some more batches and, with the same weights, computes each of them in f32 and in bf16,
// with and without penalties. Prints medians over the batches: for each penalty the relative error of its value; for
// each of D's parameters the relative errors |g16 - g32| / |g32| of the gradients of the loss, of loss and penalties,
// of the penalties alone, the share of the penalties in the gradient, and how far apart the gradients of two batches
// are, which is the noise that training has anyway.
#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <iostream>
#include <map>

#include "base/bf16.h"
#include "base/error.h"
#include "base/parallel.h"
#include "compiler/compile.h"
#include "data/shuffle.h"
#include "data/source.h"
#include "nn/scope.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan {
namespace {

struct BenchOptions {
  std::string preset = "lsgan-r1r2", data = "mnist";
  std::vector<std::string> settings;
  int threads = 2, steps = 300, batches = 9;
};

using Values = std::vector<double>;

double norm(const Values& values) {
  double squares = 0;
  for (double value : values) squares += value * value;
  return std::sqrt(squares);
}

Values minus(Values a, const Values& b) {
  for (std::size_t i = 0; i < a.size(); ++i) a[i] -= b[i];
  return a;
}

double error(const Values& actual, const Values& expected) { return norm(minus(actual, expected)) / norm(expected); }

double median(Values values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

/// A step of a configuration, compiled, on a state of its own.
struct Step {
  Step(const train::Config& config, const data::Dataset& dataset, compiler::Precision precision) {
    graph::Graph graph;
    const models::ModelSpec spec = train::model_spec(config, dataset.sample_shape, dataset.condition);
    variables = train::build_step(graph, config, spec, {.batch = config.train.batch, .gradient_outputs = true});
    nn::initialize(variables, /*seed=*/1, state);
    program = std::make_unique<runtime::Program>(
        compiler::compile(graph, {.precision = precision, .disabled = {}}, state, arena));
  }

  void run(const data::Dataset& dataset, data::Shuffle& shuffle, std::int64_t batch, int step) {
    const std::int64_t in_epoch = dataset.count() / batch;
    const std::span<const std::uint32_t> order = shuffle.epoch(static_cast<std::uint32_t>(step / in_epoch));
    const auto size = static_cast<std::size_t>(graph::element_count(dataset.sample_shape));
    float* x = state.at("batch.x").f32().data();
    for (std::int64_t row = 0; row < batch; ++row) {
      const std::uint32_t index = order[static_cast<std::size_t>(step % in_epoch * batch + row)];
      dataset.copy_sample(index, x + static_cast<std::size_t>(row) * size);
      state.at("batch.y").i32()[static_cast<std::size_t>(row)] = dataset.label(index);
    }
    state.at("step").i32()[0] = step;
    program->run();
  }

  /// Takes a variable from another step, and its rounded copy along.
  void set(const std::string& name, const runtime::State& from) {
    const std::span<const float> exact = from.at(name).f32();
    std::ranges::copy(exact, state.at(name).f32().data());
    const auto rounded = state.find(name + ".bf16");
    if (rounded != state.end()) std::ranges::transform(exact, rounded->second.bf16().begin(), base::to_bf16);
  }

  Values values(const std::string& name) const {
    const std::span<const float> found = state.at(name).f32();
    return {found.begin(), found.end()};
  }

  std::vector<nn::Variable> variables;
  runtime::State state;
  runtime::Arena arena;
  std::unique_ptr<runtime::Program> program;
};

/// One batch's results of one configuration: D's loss, and its gradient by each parameter.
using Results = std::map<std::string, Values>;

void run(const BenchOptions& options) {
  base::set_threads(options.threads);
  train::Config config = train::load_preset(options.preset);
  train::apply_settings(config, options.settings);
  const data::Dataset dataset = data::open_source(options.data);
  data::Shuffle shuffle(static_cast<std::uint32_t>(dataset.count()), /*seed=*/1);

  train::Config eager = config;  // lazy penalties are as strong on average
  eager.penalty.every = 1;
  Step trained(eager, dataset, compiler::Precision::f32);
  for (int step = 0; step < options.steps; ++step) trained.run(dataset, shuffle, config.train.batch, step);

  // The loss alone, with each penalty by itself, with all of them.
  train::Config plain = config;
  plain.penalty.weights.clear();
  std::map<std::string, train::Config> configs{{"loss", plain}, {"all", config}};
  for (const auto& [name, weight] : config.penalty.weights) {
    if (weight == 0) continue;
    configs[name] = plain;
    configs[name].penalty.weights[name] = weight;
  }
  std::map<std::string, std::vector<Results>> results[2];  // f32, bf16
  for (const auto& [name, with] : configs) {
    for (const bool bf16 : {false, true}) {
      Step step(with, dataset, bf16 ? compiler::Precision::bf16 : compiler::Precision::f32);
      for (int batch = 0; batch < options.batches; ++batch) {
        for (const nn::Variable& variable : step.variables) step.set(variable.name, trained.state);
        step.run(dataset, shuffle, config.train.batch, options.steps + batch);
        Results& result = results[bf16][name].emplace_back();
        result["loss.d"] = step.values("loss.d");
        for (const nn::Variable& variable : step.variables)
          if (variable.role == nn::Role::parameter && variable.name.starts_with(train::kDiscriminator))
            result[variable.name] = step.values("grad." + variable.name);
      }
    }
  }

  const auto medians = [&](const auto& of_batch) {
    Values values;
    for (std::size_t i = 0; i < static_cast<std::size_t>(options.batches); ++i) values.push_back(of_batch(i));
    return median(values);
  };
  fmt::print("{} on {}, {} steps, medians of {} batches\n\n", options.preset, options.data, options.steps,
             options.batches);
  fmt::print("{:12} {:>10} {:>9}\n", "value", "f32", "error");
  for (const auto& [name, _] : configs) {
    // Of a penalty: what it adds to the loss.
    const auto value = [&, name = name](bool bf16, std::size_t i) {
      const double base = name == "loss" ? 0 : results[bf16]["loss"][i]["loss.d"][0];
      return results[bf16][name][i]["loss.d"][0] - base;
    };
    const double typical = medians([&](std::size_t i) { return value(false, i); });
    fmt::print("{:12} {:10.5f} {:9.5f}\n", name == "all" ? "penalties" : name, typical,
               medians([&](std::size_t i) { return std::abs(value(true, i) / value(false, i) - 1); }));
  }
  fmt::print("\n{:36} {:>9} {:>9} {:>9} {:>9} {:>9}\n", "gradient", "loss", "with", "penalties", "share", "batches");
  for (const auto& [name, _] : results[0]["loss"][0]) {
    if (name == "loss.d") continue;
    const auto gradient = [&, name = name](bool bf16, const char* of, std::size_t i) {
      return results[bf16][of][i][name];
    };
    if (norm(gradient(false, "all", 0)) == 0) continue;  // the last bias of a loss of differences
    const auto alone = [&](bool bf16, std::size_t i) {
      return minus(gradient(bf16, "all", i), gradient(bf16, "loss", i));
    };
    const auto next = [&](std::size_t i) { return (i + 1) % static_cast<std::size_t>(options.batches); };
    const auto error_of = [&](const char* of) {
      return medians([&](std::size_t i) { return error(gradient(true, of, i), gradient(false, of, i)); });
    };
    const double share =
        medians([&](std::size_t i) { return norm(alone(false, i)) / norm(gradient(false, "all", i)); });
    const double batches =
        medians([&](std::size_t i) { return error(gradient(false, "all", next(i)), gradient(false, "all", i)); });
    // Penalties of networks made of straight pieces do not depend on biases.
    const double alone_error = medians([&](std::size_t i) { return error(alone(true, i), alone(false, i)); });
    const std::string penalties = share < 1e-4 ? "-" : fmt::format("{:.5f}", alone_error);
    fmt::print("{:36} {:9.5f} {:9.5f} {:>9} {:9.3f} {:9.3f}\n", name, error_of("loss"), error_of("all"), penalties,
               share, batches);
  }
}

}  // namespace
}  // namespace gan

int main(int argc, char** argv) {
  gan::BenchOptions options;
  CLI::App app("Errors of bf16 in the discriminator's gradients and penalties");
  app.add_option("--preset", options.preset, "the configuration")->capture_default_str();
  app.add_option("--data", options.data, "as gan train --data takes it; with labels")->capture_default_str();
  app.add_option("--set", options.settings, "key=value over the preset");
  app.add_option("--steps", options.steps, "of training before")->capture_default_str();
  app.add_option("--batches", options.batches, "to compare")->capture_default_str()->check(CLI::Range(2, 1000));
  app.add_option("--threads", options.threads)->capture_default_str();
  CLI11_PARSE(app, argc, argv);
  try {
    gan::run(options);
  } catch (const gan::base::Error& error) {
    std::cerr << "bf16_bench: " << error.what() << "\n";
    return static_cast<int>(error.kind());
  }
  return 0;
}
