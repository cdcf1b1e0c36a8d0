#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "cli/command.h"
#include "cli/output.h"
#include "cli/threads.h"
#include "eval/report.h"

namespace gan::cli {
namespace {

constexpr const char* kHelp =
    R"(MODEL is a model.safetensors or the folder of a run; SOURCE the data it was trained on (gan data --help). Samples
are compared with the test part of the data, or with a tenth of it if it has none; the output says which.

Images are compared by the features of a small classifier, trained on the data when first needed (a minute for MNIST)
and kept in the cache. The output has its hash: distances by different classifiers cannot be compared. --embedding uses
a classifier from a file. Data with one class or no labels cannot train one; it is scored by pixels alone. Numbers of
a condition are read by a regressor, made in the same way. Tables and other vectors are compared column by column
(Kolmogorov-Smirnov distances, correlations), points of ring8, grid25 and circle with the centres around which they
were drawn.

SOURCE is read as the training data was: the model keeps the size of pictures, the columns and their scalings.

A score is left out, with its reason, if there are too few samples or reference images for it: coverage, precision,
recall, density and the joint score need 50 of each, KID 100, a Frechet distance 129, the others 10.

DIR receives eval.json, samples.png, neighbours.png (samples, each with the nearest training image to its right) and
confusion.csv. --cas trains a second classifier, on samples, and tests it on real images; it takes as long as the first.

Examples:
  gan eval runs/a --data mnist
  gan eval runs/a --data mnist --out runs/a/eval --fd-curve --cas
  gan eval runs/a --data mnist --json > scores.json)";

struct Options {
  std::string model, data, out, embedding, cache;
  std::int64_t count = 0, seed = 1, threads = 0;
  bool json = false, fd_curve = false, cas = false;
};

void run(const Options& options) {
  refuse_standard_output("--out", options.out);
  use_threads(options.threads);
  const train::Model model = train::load_model(options.model);
  data::SourceOptions source;
  source.cache = options.cache;
  source.read = model.config.data;  // as the training data was read, or made up
  source.seed = static_cast<std::uint64_t>(model.config.train.seed);
  source.progress = say_progress;
  eval::Reference reference = eval::open_reference(options.data, source);
  eval::fit_reference(reference, model);  // fails before a minute is spent on a classifier
  if (!options.out.empty()) base::create_folder(options.out);
  // With --json standard output is for the scores alone.
  const auto log = [&](const std::string& line) {
    fmt::print(options.json ? stderr : stdout, "{}\n", line);
    std::fflush(options.json ? stderr : stdout);
  };
  std::optional<eval::Classifier> classifier;
  if (!options.embedding.empty())
    classifier = eval::load_classifier(options.embedding);
  else if (eval::why_no_classifier(reference.train).empty())
    classifier = eval::cached_classifier(reference, options.cache, log);
  std::optional<eval::Classifier> regressor;
  if (eval::why_no_regressor(reference.train).empty())
    regressor = eval::cached_regressor(reference, options.cache, log);
  eval::Judge judge(std::move(reference), std::move(classifier), std::move(regressor));
  eval::Options settings;
  settings.count = options.count;
  settings.seed = static_cast<std::uint64_t>(options.seed);
  settings.fd_curve = options.fd_curve;
  settings.cas = options.cas;
  const eval::Evaluation evaluation = judge.evaluate(model, settings, log);
  if (!options.out.empty()) eval::write_report(options.out, evaluation, judge.reference(), options.model);
  if (options.json) {
    const nlohmann::ordered_json json = eval::to_json(evaluation.scores, options.model);
    fmt::print("{}\n", json.dump(2, ' ', false, nlohmann::ordered_json::error_handler_t::replace));
  } else {
    fmt::print("{}", eval::to_text(evaluation.scores, options.model));
    if (!options.out.empty()) fmt::print("wrote {0}/eval.json and pictures\n", options.out);
  }
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("MODEL", options->model, "A model.safetensors, or the folder of a run")->required();
  app.add_option("--data", options->data, "Data to compare with (gan data --help)")->type_name("SOURCE")->required();
  app.add_option("--out", options->out, "Write scores and pictures into this folder")->type_name("DIR");
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--count", options->count, "Samples to draw, as many of each class (default 10000, of points 2500)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
  app.add_option("--seed", options->seed, "Seed of the latents (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  app.add_flag("--fd-curve", options->fd_curve, "Also compute the Frechet distance of fewer samples");
  app.add_flag("--cas,!--no-cas", options->cas, "Also compute the classification accuracy score (CAS)");
  app.add_option("--embedding", options->embedding, "Compare images by the classifier in this file")
      ->type_name("FILE.safetensors");
  app.add_option("--cache", options->cache, "Folder of fetched data and trained classifiers")->type_name("DIR");
  app.add_option("--threads", options->threads, "Threads to use; 0 = every processor")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  app.footer(kHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command eval_command;
const Command eval_command = {"eval", "Judge a model: labels, distances, coverage, copies", setup};

}  // namespace gan::cli
