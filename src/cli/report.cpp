#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/text.h"
#include "cli/command.h"
#include "cli/output.h"
#include "pages/assets.h"
#include "runs/report_data.h"

namespace gan::cli {
namespace {

constexpr const char* kReportHelp =
    R"(The file is self-contained: open it in a browser, send it by mail. It shows curves and samples through training, the
scores and pictures that other commands wrote to RUNDIR, the command and every value of the run. In place of missing
parts it shows the commands that make them.

Examples:
  gan report runs/a                           writes runs/a/report.html
  gan report runs/a --out a.html
  gan eval runs/a --out runs/a/eval && gan report runs/a)";

/// JSON that is safe inside <script>: without "<", so that no text in it ends the element. Invalid UTF-8 is replaced.
std::string script_json(const nlohmann::ordered_json& json) {
  const std::string text = json.dump(-1, ' ', /*ensure_ascii=*/true, nlohmann::ordered_json::error_handler_t::replace);
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    if (c == '<')
      out += "\\u003c";
    else
      out += c;
  }
  return out;
}

/// A module's text without its imports: in the page all modules are one.
std::string without_imports(std::string_view text) {
  std::string out;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size() - 1) + 1;
    const std::string_view line = text.substr(begin, end - begin);
    if (!line.starts_with("import ")) out += line;
    begin = end;
  }
  return out;
}

/// report.html with every {{name}} replaced: `data` by the data, else by the file of that name.
std::string page(const std::string& data) {
  std::string out;
  std::string_view rest = pages::asset("report.html");
  for (std::size_t begin; (begin = rest.find("{{")) != std::string_view::npos;) {
    const std::size_t end = rest.find("}}", begin);
    const std::string_view name = rest.substr(begin + 2, end - begin - 2);
    out += rest.substr(0, begin);
    if (name == "data")
      out += data;
    else if (const std::string_view text = pages::asset(name); text.empty())
      throw std::logic_error("report.html names a part that does not exist");
    else
      out += without_imports(text);
    rest.remove_prefix(end + 2);
  }
  return out += rest;
}

std::function<void()> setup(CLI::App& app) {
  struct Options {
    std::string run, out;
  };
  auto options = std::make_shared<Options>();
  app.add_option("RUNDIR", options->run, "Folder of a run")->required();
  app.add_option("--out", options->out, "The file to write, or - (default RUNDIR/report.html)")->type_name("FILE.html");
  app.footer(kReportHelp);
  return [options] {
    const std::string out = options->out.empty() ? (std::filesystem::path(options->run) / "report.html").string()
                                                 : output_path(options->out);
    const std::string text = page(script_json(runs::report_data(options->run)));
    base::remove_leftovers(out);
    base::write_file(out, text, base::Durability::unsynced);
    say_written(out, ": " + base::size_text(static_cast<double>(text.size())));
  };
}

}  // namespace

extern const Command report_command;
const Command report_command = {"report", "Write a page about a run: curves, pictures, scores", setup};

}  // namespace gan::cli
