#include <fmt/core.h>
#include <fmt/ranges.h>

#include <CLI/CLI.hpp>
#include <filesystem>
#include <memory>
#include <optional>

#include "base/text.h"
#include "cli/command.h"
#include "cli/data_info.h"
#include "cli/machine.h"
#include "cli/read_options.h"
#include "eval/run_scores.h"
#include "train/model_file.h"
#include "train/step.h"

namespace gan::cli {
namespace {

constexpr const char* kInfoHelp = R"(Examples:
  gan info                      the program, this machine, and its instructions and precision (gan doctor: more)
  gan info runs/a               a model: what it draws, what made it
  gan info mnist                a data set: samples, shape, classes)";

void print_machine() {
  line("gan", GAN_VERSION);
  for (const Finding& finding : find_processor())
    line(finding.topic, finding.text + (finding.advice.empty() ? "" : " (" + finding.advice + ")"));
}

std::string network_text(const train::NetworkConfig& network) {
  std::string text = fmt::format("{} {}", fmt::join(network.widths, "-"), network.activation);
  if (network.spectral_norm) text += ", spectral norm";
  if (network.gain) text += " with gain";
  if (network.batch_norm) text += ", batch norm";
  return text;
}

std::string shape_text(const graph::Shape& shape) {
  return (shape.size() == 3 ? "images " : "vectors ") + graph::to_string(shape);
}

/// The best evaluation of a run, if `path` is the run's folder or its best.safetensors; nullopt for other models.
std::optional<eval::RunScores::Best> best_beside(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) return eval::RunScores::best_of(path);
  return path.filename() == "best.safetensors" ? eval::RunScores::best_of(path.parent_path()) : std::nullopt;
}

/// The number of parameters of each network, and the shapes of those that are matrices or larger.
void print_parameters(const train::Model& model) {
  const models::ModelSpec spec = train::model_spec(model);
  graph::Graph graph;
  const std::pair<const char*, std::vector<nn::Variable>> networks[] = {
      {"generator", train::build_sampler(graph, model.config, spec, 1)},
      {"discriminator", train::discriminator_variables(model.config, spec)}};
  for (const auto& [network, variables] : networks) {
    std::int64_t count = 0;
    for (const nn::Variable& variable : variables)
      if (variable.role == nn::Role::parameter) count += graph::element_count(variable.shape);
    fmt::print("\n{}: {} parameters\n", network, base::grouped(static_cast<std::uint64_t>(count)));
    for (const nn::Variable& variable : variables)
      if (variable.role == nn::Role::parameter && variable.shape.size() > 1)
        fmt::print("  {:<32} {}\n", variable.name.substr(variable.name.find('.') + 1),
                   graph::to_string(variable.shape));
  }
}

void print_model(const std::string& path) {
  const train::Model model = train::load_model(path);
  const train::Config& config = model.config;
  line("model", path);
  line("preset", config.preset);
  line("draws", shape_text(model.sample_shape) + (model.sample_shape.size() == 3 ? " in " + model.units.range() : ""));
  line("classes", model.condition.empty() ? "none, it is unconditional" : classes_text(model.condition));
  if (model.condition.classes() == 0)
    for (const data::ConditionColumn& column : model.condition.columns)
      if (!column.is_numeric()) line("  " + column.name, classes_text({{column}}));
  line("latent", fmt::format("{}, {}", config.model.latent, config.model.latent_distribution));
  line("generator", network_text(config.model.g));
  line("discriminator", network_text(config.model.d));
  line("loss", config.loss.name == "least_squares"
                   ? fmt::format("least squares, (a, b, c) = ({}, {}, {}){}", config.loss.a, config.loss.b,
                                 config.loss.c, config.loss.sigmoid ? ", with a Sigmoid after D" : "")
                   : config.loss.name);
  line("data", fmt::format("{}, sha256 {}", model.data_name, model.data_hash));
  line("trained", base::counted(model.steps, "step"));
  if (const auto best = best_beside(path); best)
    line("best", fmt::format("score {:.4f} at step {}, in best.safetensors", best->score,
                             base::grouped(static_cast<std::uint64_t>(best->step))));
  print_parameters(model);
}

bool is_model(const std::string& subject) {
  const std::filesystem::path path(subject);
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    return std::filesystem::exists(path / "model.safetensors", error) ||
           std::filesystem::exists(path / "config.toml", error);
  }
  return path.extension() == ".safetensors";
}

std::function<void()> setup(CLI::App& app) {
  struct Options {
    std::string subject, cache;
    std::shared_ptr<ReadFlags> read;
  };
  auto options = std::make_shared<Options>();
  app.add_option("SUBJECT", options->subject, "MODEL (a file or the folder of a run) or SOURCE (gan data --help)");
  app.add_option("--cache", options->cache, "Folder of data that was fetched or decoded")->type_name("DIR");
  options->read = add_read_flags(app);
  app.footer(kInfoHelp);
  return [options] {
    if (options->subject.empty()) {
      print_machine();
    } else if (is_model(options->subject)) {
      print_model(options->subject);
    } else {
      describe_source(options->subject, options->cache, options->read->apply(), "");
    }
  };
}

}  // namespace

extern const Command info_command;
const Command info_command = {"info", "Describe this machine, a model or a data set", setup};

}  // namespace gan::cli
