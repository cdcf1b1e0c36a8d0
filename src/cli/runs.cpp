#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "cli/command.h"
#include "runs/list.h"

namespace gan::cli {
namespace {

using Json = nlohmann::ordered_json;

constexpr const char* kRunsHelp =
    R"(steps and time are those of the last line of metrics.jsonl. score, of --eval-every, is between 0 and 1; best is the
highest so far, with its step. Folders below DIR are searched, too.

Examples:
  gan runs runs
  gan runs runs --sort best
  gan runs runs --json | jq '.[0].run')";

constexpr const char* kColumns[] = {"run", "preset", "data", "steps", "time", "score", "best"};

struct Options {
  std::string folder, sort = "run";
  bool json = false;
};

/// Names in order; numbers from the largest, missing ones last.
bool comes_before(const Json& a, const Json& b, const std::string& column) {
  const Json &x = a.at(column), &y = b.at(column);
  if (x.is_string() && y.is_string()) return x < y;
  if (x.is_number() && y.is_number()) return x > y;
  return !x.is_null() && y.is_null();
}

std::string cell(const Json& run, const std::string& column) {
  const Json& value = run.at(column);
  if (value.is_null()) return "-";
  if (value.is_string()) return value.get<std::string>();
  if (column == "steps") return base::grouped(value.get<std::uint64_t>());
  if (column == "time") return base::duration_text(value.get<double>());
  if (column != "best") return fmt::format("{:.4f}", value.get<double>());
  return fmt::format("{:.4f} at {}", value.get<double>(), base::grouped(run.at("best_step").get<std::uint64_t>()));
}

void print_table(const std::vector<Json>& runs) {
  std::vector<std::size_t> widths;
  for (const std::string column : kColumns) {
    widths.push_back(column.size());
    for (const Json& run : runs) widths.back() = std::max(widths.back(), cell(run, column).size());
  }
  const auto print = [&](const auto& text) {
    std::string row;
    for (std::size_t c = 0; c < widths.size(); ++c) row += fmt::format("{:<{}}  ", text(kColumns[c]), widths[c]);
    fmt::print("{}\n", row.substr(0, row.find_last_not_of(' ') + 1));
  };
  print([](const char* column) { return std::string(column); });
  for (const Json& run : runs) {
    print([&](const char* column) { return cell(run, column); });
    if (run.contains("error")) fmt::print("  {}\n", run["error"].get<std::string>());
  }
}

void run(const Options& options) {
  std::vector<Json> runs = runs::find_runs(options.folder);
  if (runs.empty() && !options.json) {
    fmt::print("no runs in {}\n", options.folder);
    return;
  }
  std::ranges::stable_sort(runs, [&](const Json& a, const Json& b) { return comes_before(a, b, options.sort); });
  if (options.json)
    fmt::print("{}\n", Json(runs).dump(2, ' ', false, Json::error_handler_t::replace));
  else
    print_table(runs);
}

std::function<void()> setup(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("DIR", options->folder, "Folder of runs")->required();
  app.add_option("--sort", options->sort, "Column to sort by (default run)")
      ->type_name("COLUMN")
      ->check(CLI::IsMember(std::vector<std::string>(std::begin(kColumns), std::end(kColumns))));
  app.add_flag("--json", options->json, "Print JSON");
  app.footer(kRunsHelp);
  return [options] { run(*options); };
}

}  // namespace

extern const Command runs_command;
const Command runs_command = {"runs", "List the runs in a folder", setup};

}  // namespace gan::cli
