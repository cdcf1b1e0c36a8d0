#include "graph/graph.h"

#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <optional>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "compiler/compile.h"
#include "data/source.h"
#include "train/preset.h"
#include "train/step.h"

namespace gan::cli {
namespace {

constexpr const char* kGraphHelp =
    R"(One line for each node: its number, type, op, inputs and attributes. Without --after the graph is shown as it was built,
before any pass. Sizes are those of MNIST (ring8 for the preset vector) unless --data says otherwise.

Examples:
  gan graph tutorial-lsgan --batch 8
  gan graph lsgan-r1r2 --after machine-code --precision bf16
  gan graph vector --set model.g.widths=[16] --after dce)";

struct Options {
  std::string preset, after, data, cache, precision = "auto";
  std::int64_t batch = 0;
  std::vector<std::string> settings;
};

/// The graph after the pass called `name`.
std::string dump_after(graph::Graph& graph, const std::string& name, const std::string& precision) {
  const std::vector<std::string> passes = compiler::pass_names();
  if (std::find(passes.begin(), passes.end(), name) == passes.end()) {
    base::fail_usage("unknown pass \"{}\"{}", name, base::did_you_mean(name, passes));
  }
  compiler::Options options;
  options.precision = compiler::choose_precision(precision);
  std::optional<std::string> text;
  compiler::optimize(graph, options, runtime::default_backend().target(),
                     [&](const std::string& pass, const std::string& dump) {
                       if (pass == name) text = dump;
                     });
  if (!text) base::fail_usage("the pass \"{}\" does not run in f32; try --precision bf16", name);
  return *text;
}

void run(const Options& options) {
  train::Config config = train::load_preset(options.preset);
  train::apply_settings(config, options.settings);
  if (options.batch > 0) config.train.batch = options.batch;
  train::validate(config);
  const bool vectors = options.preset == train::default_preset({2});
  graph::Shape sample = vectors ? graph::Shape{2} : graph::Shape{1, 28, 28};
  data::ConditionSpec condition = data::label_condition(vectors ? 8 : 10);
  if (!options.data.empty()) {
    data::SourceOptions source;
    source.cache = options.cache;
    source.labels = !config.data.unconditional;
    const data::Dataset dataset = data::open_source(options.data, source);
    sample = dataset.sample_shape;
    condition = dataset.condition;
  }

  graph::Graph graph;
  train::build_step(graph, config, train::model_spec(config, sample, train::condition_of(config, condition)),
                    {.batch = config.train.batch, .gradient_norms = true});
  fmt::print("{}", options.after.empty() ? graph.dump() : dump_after(graph, options.after, options.precision));
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("PRESET", options->preset, "Preset whose training step to print (gan presets lists them)")->required();
  app.add_option("--after", options->after,
                 "The graph after this pass; in order: " + base::joined(compiler::pass_names()))
      ->type_name("PASS");
  app.add_option("--batch", options->batch, "Samples in a batch")->type_name("N")->check(CLI::Range(1, 1'000'000));
  app.add_option("--set", options->settings, "Set any value by its key")->type_name("KEY=VALUE");
  app.add_option("--data", options->data, "Take sizes from this data")->type_name("SOURCE");
  app.add_option("--cache", options->cache, "Folder of data that was fetched or decoded")->type_name("DIR");
  app.add_option("--precision", options->precision, "auto, f32 or bf16; auto takes bf16 where that is faster")
      ->type_name("P")
      ->check(CLI::IsMember({"auto", "f32", "bf16"}));
  app.footer(kGraphHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command graph_command;
const Command graph_command = {"graph", "Print the graph of a training step", setup};

}  // namespace gan::cli
