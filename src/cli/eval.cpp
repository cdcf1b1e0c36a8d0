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

Images are compared in the features of a small classifier, trained on the data at first need (a minute for MNIST) and
kept in the cache; the output names its hash, for distances compare under one embedding only. --embedding takes another
such file. Data of one class or without labels trains none: without --embedding it gets the scores of pixels alone.
Points of ring8 and grid25 are held against the centres they were made from.

A score is left out, with its reason, if there are too few samples or reference images for it: coverage, precision,
recall, density and the joint score need 50 a side, KID 100, a Frechet distance 129, the others 10.

DIR receives eval.json, samples.png, neighbours.png (samples, each with the nearest training image to its right) and
confusion.csv. --cas trains a second classifier, on samples, and reads real images with it: as long again as the first.

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
  eval::Reference reference = eval::open_reference(options.data, source);
  eval::require_fit(model, reference);  // before a minute is spent on a classifier
  if (!options.out.empty()) base::create_folder(options.out);
  // Standard output belongs to the scores if a program reads them.
  const auto log = [&](const std::string& line) {
    fmt::print(options.json ? stderr : stdout, "{}\n", line);
    std::fflush(options.json ? stderr : stdout);
  };
  std::optional<eval::Classifier> classifier;
  if (!options.embedding.empty())
    classifier = eval::load_classifier(options.embedding);
  else if (reference.held_out.is_image() && eval::why_no_classifier(reference.train).empty())
    classifier = eval::cached_classifier(reference, options.cache, log);
  eval::Judge judge(std::move(reference), std::move(classifier));
  eval::Options what;
  what.count = options.count;
  what.seed = static_cast<std::uint64_t>(options.seed);
  what.fd_curve = options.fd_curve;
  what.cas = options.cas;
  const eval::Evaluation evaluation = judge.evaluate(model, what, log);
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
  app.add_option("--data", options->data, "The data to judge by (gan data --help)")->type_name("SOURCE")->required();
  app.add_option("--out", options->out, "Write scores and pictures into this folder")->type_name("DIR");
  app.add_flag("--json", options->json, "Print JSON instead of a table");
  app.add_option("--count", options->count, "Samples to draw, as many of each class (default 10000, of points 2500)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1'000'000}));
  app.add_option("--seed", options->seed, "Of the latents (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  app.add_flag("--fd-curve", options->fd_curve, "Also the Frechet distance of fewer samples");
  app.add_flag("--cas,!--no-cas", options->cas, "Also the classification accuracy score");
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
