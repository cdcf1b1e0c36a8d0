#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/serve_options.h"

namespace gan::cli {
namespace {

constexpr const char* kServeHelp =
    R"(Draws samples of models, files or folders of runs, for other programs, over HTTP. Requests that come together are
drawn in one batch. GET /openapi.json describes every route; docs/studio.md has examples. A line of JSON on standard
error tells of each request. Ctrl-C or SIGTERM answers what was asked, then ends.

Examples:
  gan serve runs/a
  curl -d '{"conditions":{"label":7},"count":4}' -H 'Content-Type: application/json' http://127.0.0.1:8090/v1/sample > 7.png
  gan serve --root runs --read-only --port 0
  gan serve runs/a --host 0.0.0.0 --api-key key.txt)";

std::function<void()> setup(CLI::App& app) {
  const auto flags = add_serve_flags(app);
  app.add_option("MODEL", flags->server.models, "A model.safetensors, or the folder of a run; any number");
  app.add_option("--root", flags->server.root, "A folder of runs, all of whose models are served")->type_name("DIR");
  app.footer(kServeHelp);
  return [flags] { flags->run("serving on"); };
}

}  // namespace

extern const Command serve_command;
const Command serve_command = {"serve", "Serve models over HTTP", setup};

}  // namespace gan::cli
