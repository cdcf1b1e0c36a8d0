#include <CLI/CLI.hpp>
#include <memory>

#include "base/file.h"
#include "cli/command.h"
#include "cli/serve_options.h"

namespace gan::cli {
namespace {

constexpr const char* kStudioHelp =
    R"(Pages to watch, steer and draw in a browser: the runs in DIR with curves that grow, buttons and sliders for what a
model is conditioned on, GANs on points in the plane while they train. Nothing leaves this machine, and trainings go on
when the studio ends. Data for new runs is looked for in DIR, by name.

Examples:
  gan studio runs
  gan studio runs --port 9000 --read-only)";

std::function<void()> setup(CLI::App& app) {
  const auto flags = add_serve_flags(app);
  flags->server.root = "runs";
  app.add_option("DIR", flags->server.root, "Folder of runs (default runs); made if it is missing");
  app.footer(kStudioHelp);
  return [flags] {
    base::create_folder(flags->server.root);
    flags->server.pages = true;
    flags->server.log = false;
    flags->run("the studio is at");
  };
}

}  // namespace

extern const Command studio_command;
const Command studio_command = {"studio", "Watch, steer and draw in a browser", setup};

}  // namespace gan::cli
