#include "cli/protocol.h"

#include <fmt/core.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/interrupt.h"
#include "base/parallel.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/threads.h"
#include "eval/protocol.h"
#include "runtime/launcher.h"

namespace gan::cli {
namespace {

constexpr const char* kProtocolHelp =
    R"(Trains what a paper trains, judges it as the paper does, and prints the paper's rows above ours. A trial is trained
once with each of the seeds 1 to N. Runs are kept in DIR/NAME; a second call goes on with them and trains only what is
missing. DIR/NAME.md receives the table, DIR/NAME.png samples of each trial's first seed. docs/protocols.md has the
results.

Protocols:
)";

std::string help_text() {
  std::string text = kProtocolHelp;
  for (const eval::Protocol& protocol : eval::protocols())
    text += fmt::format("  {:<15}{}\n", protocol.name, protocol.brief);
  return text + R"(
Examples:
  gan bench protocol ring8
  gan bench protocol all --seeds 1 --out protocols
  gan bench protocol circle --json)";
}

struct Options {
  std::string name;
  eval::ProtocolOptions run{.out = "protocols"};
  bool json = false;
};

void run(const Options& options) {
  refuse_standard_output("--out", options.run.out);
  std::vector<const eval::Protocol*> chosen;
  for (const eval::Protocol& protocol : eval::protocols())
    if (options.name == "all") chosen.push_back(&protocol);
  if (chosen.empty()) chosen.push_back(&eval::find_protocol(options.name));
  runtime::Communicator& ranks = runtime::all_ranks();
  const bool is_first = ranks.rank() == 0;
  use_threads(runtime::threads_of_rank(ranks, options.run.threads));
  const ProgressStyle style = options.json || !is_first    ? ProgressStyle::quiet
                              : isatty(STDOUT_FILENO) != 0 ? ProgressStyle::terminal
                                                           : ProgressStyle::lines;
  ProgressPrinter printer(style, "samples");
  eval::ProtocolOptions settings = options.run;
  if (ranks.ranks() > 1) {
    settings.communicator = &ranks;
    settings.threads = base::threads();
  }
  settings.log = [&](const std::string& line) {
    if (options.json && is_first)
      say_progress(line);
    else
      printer.note(line);
  };
  settings.callbacks.on_log = [&](const train::Progress& progress) { printer.report(progress); };
  if (is_first)
    settings.callbacks.on_note = [&](const std::string& text) {
      if (text.starts_with("warning: ")) printer.note(text);
    };
  settings.callbacks.stop_requested = [] { return base::is_interrupted(); };
  base::watch_interrupts();
  nlohmann::ordered_json results = nlohmann::ordered_json::array();
  for (const eval::Protocol* protocol : chosen) {
    const auto table = eval::run_protocol(*protocol, settings);
    base::throw_if_interrupted();
    if (!is_first) continue;
    if (options.json)
      results.push_back(eval::to_json(*table));
    else
      printer.note("\n" + eval::to_text(*table));
  }
  if (options.json && is_first) fmt::print("{}\n", results.dump(2));
}

}  // namespace

std::function<void()> setup_protocol(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("NAME", options->name, "Protocol, see below, or all")->required();
  app.add_option("--seeds", options->run.seeds, "Seeds to train each trial with (default 3)")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{1000}));
  app.add_option("--steps", options->run.steps, "Train this many steps in place of the protocol's, for a quick look")
      ->type_name("N")
      ->check(CLI::Range(std::int64_t{1}, std::int64_t{100'000'000}));
  app.add_option("--out", options->run.out, "Folder of runs, tables and pictures (default protocols)")
      ->type_name("DIR");
  app.add_option("--cache", options->run.cache, "Folder of data that was fetched or decoded, and classifiers")
      ->type_name("DIR");
  app.add_option("--threads", options->run.threads, "Threads to use; 0 = every processor")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  app.add_flag("--json", options->json, "Print JSON instead of tables");
  app.footer(help_text());
  return [options] { run(*options); };
}

}  // namespace gan::cli
