#pragma once

#include <CLI/CLI.hpp>
#include <memory>

#include "serve/server.h"

namespace gan::cli {

/// The options that `gan serve` and `gan studio` share.
struct ServeFlags {
  serve::ServerOptions server;
  std::string key_file, device = "auto";

  /// Runs the server until it is interrupted, after a line of `what` and its address.
  void run(const std::string& what);
};

/// Adds these options to a command.
std::shared_ptr<ServeFlags> add_serve_flags(CLI::App& app);

}  // namespace gan::cli
