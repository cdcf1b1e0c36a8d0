#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <filesystem>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/device.h"
#include "cli/output.h"
#include "cli/threads.h"
#include "data/source.h"
#include "eval/report.h"
#include "runtime/launcher.h"
#include "train/run_data.h"

namespace gan::cli {
namespace {

constexpr const char* kEvalHelp =
    R"(MODEL is a model.safetensors or the folder of a run; SOURCE the data to compare with (gan data --help), if it is not
given that of the run in whose folder the model lies. Samples are compared with the test part of the data, or with a
tenth of it if it has none; the output says which. --holdout 0.3 holds out another share, --holdout none compares with
the whole data. Samples have the class shares of what they are compared with; with --shares even there are as many of
each class.

Images are compared by the features of a small classifier, trained on the data when first needed (a minute for MNIST)
and kept in the cache; of data with one class or without labels it learns to tell single images apart. The output has
its hash: distances by different classifiers cannot be compared, none is an Inception FID. --embedding uses a classifier
from a file. Numbers of a condition are read by a regressor, made in the same way. Tables and other vectors are compared
column by column (Kolmogorov-Smirnov distances, correlations), points of ring8, grid25 and circle with the centres
around which they were drawn.

--samples SOURCE scores samples from elsewhere in place of a model's, such as a folder of pictures.

SOURCE is read as the training data was: the model keeps the size of pictures, the columns and their scalings.

A score is left out, with its reason, if there are too few samples or reference images for it: coverage, precision,
recall, density and the joint score need 50 of each, KID 20, the others 10. A Frechet distance of fewer than 129 is
computed with shrunk covariances, and says so.

DIR receives eval.json, samples.png, neighbours.png (samples, each with the nearest training image to its right) and
confusion.csv. --cas trains a second classifier, on samples, and tests it on real images; it takes as long as the first.

Examples:
  gan eval runs/a
  gan eval runs/a --out runs/a/eval --fd-curve --cas
  gan eval runs/a --data mnist --json > scores.json
  gan eval runs/b --data photos/ --holdout 0.5
  gan eval --samples drawn/ --data photos/)";

struct Options {
  std::string model, samples, data, out, embedding, cache, shares = "reference", holdout, device = "auto";
  std::int64_t count = 0, seed = 1, threads = 0;
  bool json = false, fd_curve = false, cas = false;
};

/// The data of the run in whose folder the model lies; throws a usage error if there is none.
std::string data_of_run(const std::string& model) {
  namespace fs = std::filesystem;
  const fs::path folder = fs::is_directory(model) ? fs::path(model) : fs::path(model).parent_path();
  std::string source;
  if (!model.empty() && fs::is_regular_file(folder / "config.toml"))
    source = train::read_run_config((folder / "config.toml").string()).data.source;
  if (source.empty()) base::fail_usage("what to compare with? Give the data: --data SOURCE");
  return source;
}

/// The share to hold out; 0 for "none", nothing if the option was left out. Throws a usage error.
std::optional<double> holdout_of(const std::string& text) {
  if (text.empty()) return std::nullopt;
  if (text == "none") return 0;
  const std::optional<double> share = base::parse_number<double>(text);
  if (!share || !(*share > 0 && *share < 1))
    base::fail_usage("--holdout {}: expected a share in (0, 1), or none", text);
  return share;
}

/// Throws a run error on all ranks unless they would judge the same.
void require_same(runtime::Communicator& ranks, const eval::Reference& reference, const train::Model* model,
                  const data::Dataset& samples) {
  if (ranks.ranks() == 1) return;
  std::vector<runtime::Fact> facts = runtime::facts_of_program();
  facts.emplace_back("the command", command_line());
  facts.emplace_back("data with the sha256", reference.hash);
  facts.emplace_back(model ? "a model with the sha256" : "samples with the sha256",
                     model ? runtime::hash_of(model->weights) : samples.hash);
  runtime::require_agreement(ranks, facts);
}

void run(const Options& options) {
  runtime::Communicator& ranks = runtime::all_ranks();
  const bool is_first = ranks.rank() == 0;
  refuse_standard_output("--out", options.out);
  if (options.model.empty() == options.samples.empty())
    base::fail_usage("give a model, or --samples SOURCE in its place");
  if (!options.samples.empty() && options.cas) base::fail_usage("--cas draws more samples, so it needs a model");
  use_threads(runtime::threads_of_rank(ranks, options.threads));
  const runtime::Backend* backend = use_device(options.device, options.cache, ranks);
  std::optional<train::Model> model;
  if (!options.model.empty()) model = train::load_model(options.model);
  data::SourceOptions source = train::source_options(model ? model->config : train::Config(), options.cache);
  if (is_first) source.progress = say_progress;
  if (ranks.rank_here() > 0) runtime::wait_for_all(ranks);  // until the first has decoded what is not in the cache
  eval::Reference reference = eval::open_reference(options.data.empty() ? data_of_run(options.model) : options.data,
                                                   source, holdout_of(options.holdout));
  data::Dataset samples;
  if (model)
    eval::fit_reference(reference, *model);  // fails before a minute is spent on a classifier
  else
    samples = data::open_source(options.samples, source);
  if (ranks.rank_here() == 0) runtime::wait_for_all(ranks);
  require_same(ranks, reference, model ? &*model : nullptr, samples);
  if (!options.out.empty() && is_first) base::create_folder(options.out);
  // With --json standard output is for the scores alone.
  const auto log = [&](const std::string& line) {
    if (!is_first) return;
    fmt::print(options.json ? stderr : stdout, "{}\n", line);
    std::fflush(options.json ? stderr : stdout);
  };
  if (model && options.device == "auto" && ranks.ranks() == 1) {
    train::Config config = model->config;
    config.train.precision = "auto";  // drawing and judging do not follow the precision of the training
    backend = use_choice(choose_for_steps(config, train::model_spec(*model), options.cache));
  }
  eval::Networks networks;
  if (options.embedding.empty()) {
    networks = eval::cached_networks(reference, options.cache, log, ranks);
  } else {
    networks.embedding = eval::load_classifier(options.embedding);
    if (eval::why_no_regressor(reference.train).empty())
      networks.regressor = eval::cached_regressor(reference, options.cache, log, ranks);
  }
  eval::Judge judge(std::move(reference), std::move(networks), backend, ranks);
  eval::Options settings;
  settings.count = options.count;
  settings.seed = static_cast<std::uint64_t>(options.seed);
  settings.even_shares = options.shares == "even";
  settings.fd_curve = options.fd_curve;
  settings.cas = options.cas;
  const eval::Evaluation evaluation =
      model ? judge.evaluate(*model, settings, log) : judge.judge(std::move(samples), settings);
  if (!is_first) return;
  const std::string& name = model ? options.model : options.samples;
  if (!options.out.empty()) eval::write_report(options.out, evaluation, judge.reference(), name);
  if (options.json) {
    const nlohmann::ordered_json json = eval::to_json(evaluation.scores, name);
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{}", eval::to_text(evaluation.scores, name));
    if (!options.out.empty())
      fmt::print("wrote {}/eval.json{}\n", options.out, evaluation.samples.is_image() ? " and pictures" : "");
  }
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  auto* model = app.add_option("MODEL", options->model, "A model.safetensors, or the folder of a run");
  app.add_option("--samples", options->samples, "Score these samples in place of a model's")
      ->type_name("SOURCE")
      ->excludes(model);
  app.add_option("--data", options->data, "Data to compare with (default: the run's)")->type_name("SOURCE");
  app.add_option("--out", options->out, "Write scores and pictures into this folder")->type_name("DIR");
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--count", options->count, "Samples to draw (default 10000, of points 2500)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
  app.add_option("--shares", options->shares, "Class shares of samples: reference (default) or even")
      ->type_name("KIND")
      ->check(CLI::IsMember({"reference", "even"}));
  app.add_option("--holdout", options->holdout,
                 "Share of data without a test part to compare with (default 0.1), or none")
      ->type_name("SHARE");
  app.add_option("--seed", options->seed, "Seed of the latents (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  app.add_flag("--fd-curve", options->fd_curve, "Also compute the Frechet distance of fewer samples");
  app.add_flag("--cas,!--no-cas", options->cas, "Also compute the classification accuracy score (CAS)");
  app.add_option("--embedding", options->embedding, "Compare images by the classifier in this file")
      ->type_name("FILE.safetensors");
  app.add_option("--cache", options->cache, "Folder of data that was fetched or decoded, and classifiers")
      ->type_name("DIR");
  app.add_option("--threads", options->threads, "Threads to use; 0 = every processor")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  add_device_option(app, options->device);
  app.footer(kEvalHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command eval_command;
const Command eval_command = {"eval", "Judge a model: labels, distances, coverage, copies", setup};

}  // namespace gan::cli
