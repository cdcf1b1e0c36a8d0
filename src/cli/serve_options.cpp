#include "cli/serve_options.h"

#include <fmt/core.h>

#include <cstdio>
#include <cstdlib>

#include "base/error.h"
#include "base/file.h"
#include "base/interrupt.h"
#include "cli/device.h"
#include "train/sampler.h"

namespace gan::cli {

void ServeFlags::run(const std::string& what) {
  if (!key_file.empty()) {
    server.key = base::read_file(key_file);
    server.key.erase(server.key.find_last_not_of(" \r\n") + 1);
    if (server.key.size() < 8) base::fail_usage("--api-key {}: expected a key of 8 characters or more", key_file);
  }
  server.backend = use_device(device);
  train::Sampler::require_precision(server.precision, server.backend);
  // Trainings and evaluations that the server starts take their --device from these, unless the user has set them.
  for (const char* variable : {"GAN_TRAIN_DEVICE", "GAN_EVAL_DEVICE"}) ::setenv(variable, device.c_str(), 0);
  base::watch_interrupts();
  serve::Server running(server);
  fmt::print("{} {}\n", what, running.url());
  std::fflush(stdout);
  running.run();
}

std::shared_ptr<ServeFlags> add_serve_flags(CLI::App& app) {
  auto flags = std::make_shared<ServeFlags>();
  serve::ServerOptions& server = flags->server;
  app.add_option("--host", server.host, "Address to listen on (default 127.0.0.1); others need --api-key")
      ->type_name("HOST");
  app.add_option("--port", server.port, "Port to listen on (default 8090); 0 = any free one")
      ->type_name("N")
      ->check(CLI::Range(0, 65535));
  app.add_option("--allow-host", server.allow_hosts, "A name by which clients may call the server; may be repeated")
      ->type_name("NAME")
      ->allow_extra_args(false);
  app.add_option("--api-key", flags->key_file, "File with a key that requests must bring")->type_name("FILE");
  app.add_flag("--read-only", server.read_only, "Refuse what starts, stops or evaluates anything");
  app.add_option("--threads", server.threads, "Threads to draw with; 0 = one less than processors")
      ->type_name("N")
      ->check(CLI::Range(0, 4096));
  app.add_option("--precision", server.precision,
                 "f32 (auto means f32, too); int16, on the CPU: single samples are faster, and those of networks of "
                 "dense layers have the same bytes whatever is drawn meanwhile; bf16")
      ->type_name("P")
      ->check(CLI::IsMember(train::Sampler::kPrecisions));
  add_device_option(app, flags->device);
  return flags;
}

}  // namespace gan::cli
