#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "data/fetch.h"
#include "data/source.h"

namespace gan::cli {
namespace {

constexpr const char* kHelp = R"(Fetched data is kept in $XDG_CACHE_HOME/gan (~/.cache/gan) and checked by SHA-256.

Sources that --data takes:
  mnist, mnist-test                     handwritten digits, after `gan data fetch mnist`
  ring8, grid25                         random points around 8 and 25 centres
  images.idx[.gz],labels.idx[.gz]       unsigned bytes, NxHxW or NxHxWxC; a classes.txt beside them names the classes
  FOLDER                                files named as those of MNIST: the train pair, t10k for tests

Example:
  gan data fetch mnist)";

std::function<void()> setup(CLI::App& app) {
  struct Options {
    std::string name, cache;
  };
  auto options = std::make_shared<Options>();
  CLI::App* fetch = app.add_subcommand("fetch", "Download a data set and check it");
  fetch->add_option("NAME", options->name, "mnist")->required();
  fetch->add_option("--cache", options->cache, "Folder to keep it in")->type_name("DIR");
  app.require_subcommand(0, 1);
  app.footer(kHelp);
  return [options, fetch] {
    if (!fetch->parsed()) base::fail_usage("data: a subcommand is missing, such as gan data fetch mnist");
    const std::vector<std::string> known = {"mnist"};
    if (options->name != "mnist") {
      base::fail_usage("data set \"{}\" cannot be fetched{}", options->name, base::did_you_mean(options->name, known));
    }
    const auto log = [](const std::string& line) {
      fmt::print("{}\n", line);
      std::fflush(stdout);
    };
    const std::string folder = data::fetch_mnist(options->cache, log);
    fmt::print("mnist is in {}\n", folder);
  };
}

}  // namespace

extern const Command data_command;
const Command data_command = {"data", "Fetch data sets, list the sources for --data", setup};

}  // namespace gan::cli
