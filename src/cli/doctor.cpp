#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "cli/machine.h"

namespace gan::cli {
namespace {

constexpr const char* kDoctorHelp =
    R"(Each line is what was found; behind "->" is what to do about it, where something is missing.

Examples:
  gan doctor
  gan doctor --cache /data/gan)";

void print(const std::vector<Finding>& findings) {
  for (const Finding& finding : findings) {
    fmt::print("{:<4}{:<13} {}\n", finding.advice.empty() ? "ok" : "--", finding.topic, finding.text);
    if (!finding.advice.empty()) fmt::print("{:18}-> {}\n", "", finding.advice);
  }
}

std::function<void()> setup(CLI::App& app) {
  auto cache = std::make_shared<std::string>();
  app.add_option("--cache", *cache, "Folder of fetched and decoded data")->type_name("DIR");
  app.footer(kDoctorHelp);
  return [cache] {
    fmt::print("ok  {:<13} {}\n", "gan", GAN_VERSION);
    print(find_processor());
    print(find_surroundings(*cache));
  };
}

}  // namespace

extern const Command doctor_command;
const Command doctor_command = {"doctor", "Check what this machine has and what is missing", setup};

}  // namespace gan::cli
