#include <fmt/core.h>
#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <iterator>
#include <memory>

#include "autodiff/gradient.h"
#include "base/file.h"
#include "cli/command.h"
#include "cli/output.h"
#include "losses/loss.h"
#include "runtime/reference/reference.h"
#include "train/config.h"

namespace gan::cli {
namespace {

constexpr const char* kLossesHelp =
    R"(Without options it lists the values of loss.name and the keys penalty.NAME.

--curves writes a table of every loss and its variants (column "settings", as for --set), for logits of D from -6 to 6.
"g" is G's loss if D gives the logit for a fake; "d_real" and "d_fake" are D's loss if D gives it for real data or for a
fake, and 0 for the other; "_slope" is the derivative. These are the functions that training minimizes, with the
derivatives that it uses.

Examples:
  gan losses
  gan losses --curves losses.tsv
  gan train tutorial-lsgan --data mnist --out runs/a --set loss.sigmoid=false)";

constexpr int kStepsPerUnit = 10, kRange = 6;

/// A loss with some settings changed.
struct Variant {
  std::string_view loss;
  std::vector<std::string> settings;
};

/// Every loss with default settings, followed by its variants.
std::vector<Variant> variants() {
  const Variant more[] = {{"bce", {"loss.saturating=true"}},
                          {"least_squares", {"loss.coding=pearson"}},
                          {"least_squares", {"loss.sigmoid=true"}},
                          {"least_squares", {"loss.coding=pearson", "loss.sigmoid=true"}}};
  std::vector<Variant> all;
  for (const losses::Loss* loss : losses::loss_table()) {
    all.push_back({loss->name, {}});
    for (const Variant& variant : more)
      if (variant.loss == loss->name) all.push_back(variant);
  }
  return all;
}

/// The table's lines for one variant.
std::string curve(const Variant& variant) {
  using graph::Tensor;
  train::Config config;
  config.loss.name = variant.loss;
  train::apply_settings(config, variant.settings);
  const losses::Loss& loss = losses::find_loss(variant.loss);
  const losses::LossSpec& spec = config.loss;

  graph::Graph graph;
  const graph::TensorType one{graph::DType::f32, {1, 1}};
  const Tensor real = graph.input("real", one), fake = graph.input("fake", one);
  const Tensor loss_g = loss.generator(spec, real, fake), loss_d = loss.discriminator(spec, real, fake);
  const auto slope = [](Tensor value, Tensor output) { return autodiff::gradient(value, {output})[0]; };
  graph.output("g", loss_g);
  graph.output("g_slope", slope(loss_g, fake));
  graph.output("d", loss_d);
  graph.output("d_real_slope", slope(loss_d, real));
  graph.output("d_fake_slope", slope(loss_d, fake));

  std::string text;
  for (int i = -kRange * kStepsPerUnit; i <= kRange * kStepsPerUnit; ++i) {
    const double output = static_cast<double>(i) / kStepsPerUnit;
    runtime::ReferenceValues at_real = runtime::evaluate_reference(graph, {{"real", {output}}, {"fake", {0}}});
    runtime::ReferenceValues at_fake = runtime::evaluate_reference(graph, {{"real", {0}}, {"fake", {output}}});
    fmt::format_to(std::back_inserter(text), "{}\t{}\t{}", variant.loss, fmt::join(variant.settings, " "), output);
    for (const double value : {at_fake["g"][0], at_fake["g_slope"][0], at_real["d"][0], at_real["d_real_slope"][0],
                               at_fake["d"][0], at_fake["d_fake_slope"][0]})
      fmt::format_to(std::back_inserter(text), "\t{:.6g}", value + 0.0);  // no "-0"
    text += '\n';
  }
  return text;
}

void list() {
  const auto line = [](std::string_view name, std::string_view summary) { fmt::print("  {:<22}{}\n", name, summary); };
  fmt::print("Losses, for loss.name:\n");
  for (const losses::Loss* loss : losses::loss_table()) line(loss->name, loss->summary);
  fmt::print("\nPenalties on D's gradients, by the key of the weight:\n");
  for (const losses::Penalty* penalty : losses::penalty_table())
    line(fmt::format("penalty.{}", penalty->name), penalty->summary);
}

std::function<void()> setup(CLI::App& app) {
  auto curves = std::make_shared<std::string>();
  app.add_option("--curves", *curves,
                 "Write a table of every loss and its derivatives against D's logit, tab-separated")
      ->type_name("FILE.tsv");
  app.footer(kLossesHelp);
  return [curves] {
    if (curves->empty()) return list();
    std::string text = "loss\tsettings\toutput\tg\tg_slope\td_real\td_real_slope\td_fake\td_fake_slope\n";
    for (const Variant& variant : variants()) text += curve(variant);
    const std::string out = output_path(*curves);
    base::write_file(out, text, base::Durability::unsynced);
    say_written(out, "");
  };
}

}  // namespace

extern const Command losses_command;
const Command losses_command = {"losses", "List losses and penalties, or tabulate them", setup};

}  // namespace gan::cli
