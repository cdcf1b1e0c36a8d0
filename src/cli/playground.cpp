#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/threads.h"
#include "eval/playground.h"

namespace gan::cli {
namespace {

constexpr const char* kPlaygroundHelp =
    R"(Trains one GAN for each loss on points in the plane, all from the same weights, and prints what gan studio's
playground shows: a line of JSON with the data, then one for every few steps. {"range", "grid", "losses", "real"}; then
{"step", "runs": [{"loss", "points", "plane", "arrows", "loss_g", "loss_d"}]}. "points" are samples of G; "plane" is D's
output on grid x grid cells, rows from the top, from 0 (drawn) to 1 (real); "arrows" [x, y, dx, dy] are samples and minus
the gradient of G's loss with respect to them: where G is pushed. Points of files are scaled as in training.

Examples:
  gan playground --data ring8 --loss bce,least_squares --steps 3000 --every 25
  gan playground --data points.csv --loss hinge --seed 2)";

struct Options {
  eval::PlaygroundOptions run;
  std::string losses = "bce,least_squares";
  std::int64_t threads = 1;  // the fastest for networks as small
};

void print_line(const nlohmann::ordered_json& line) {
  fmt::print("{}\n", line.dump());
  if (std::fflush(stdout) != 0) base::fail_data("standard output: cannot be written");
}

void run(Options& options) {
  std::signal(SIGPIPE, SIG_DFL);  // ends without a message when nobody reads on, even if a server has ignored it
  options.run.losses = base::split(options.losses, ',');
  use_threads(options.threads);
  eval::run_playground(options.run, print_line);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  const CLI::Range counts(std::int64_t{1}, std::int64_t{100'000'000});
  app.group("");  // left out of gan --help
  app.add_option("--data", options->run.data, "ring8, grid25, circle, or a file of two columns (default ring8)")
      ->type_name("SOURCE");
  app.add_option("--loss", options->losses, "Losses, separated by commas (default bce,least_squares)")
      ->type_name("NAMES");
  app.add_option("--seed", options->run.seed, "Seed of all runs (default 1)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{0}, std::numeric_limits<std::int64_t>::max()));
  app.add_option("--steps", options->run.steps, "Steps of each run (default 3000)")->type_name("N")->check(counts);
  app.add_option("--every", options->run.every, "Steps from one line to the next (default 25)")
      ->type_name("N")
      ->check(counts);
  app.add_option("--cache", options->run.cache, "Folder of data that was fetched or decoded")->type_name("DIR");
  app.add_option("--threads", options->threads, "Threads to use (default 1, the fastest here); 0 = every processor")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  app.footer(kPlaygroundHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command playground_command;
const Command playground_command = {"playground", "Train on points in the plane and print frames", setup};

}  // namespace gan::cli
