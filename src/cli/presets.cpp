#include <fmt/core.h>

#include <CLI/CLI.hpp>
#include <memory>

#include "cli/command.h"
#include "train/preset.h"

namespace gan::cli {
namespace {

constexpr const char* kPresetsHelp = R"(Examples:
  gan presets                                           the list
  gan presets tutorial-lsgan                            every value of one, with what it means
  gan presets tutorial-lsgan > my.toml                  a file to change, for gan train --config my.toml)";

/// The first block of comment lines in a preset, which gives its sources.
std::string comment_of(std::string_view text) {
  std::string comment;
  while (!text.empty()) {
    const std::string_view line = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), line.size() + 1));
    if (line.starts_with('#')) {
      comment += std::string(line) + '\n';
    } else if (!comment.empty()) {
      break;
    }
  }
  return comment;
}

std::function<void()> setup(CLI::App& app) {
  auto name = std::make_shared<std::string>();
  app.add_option("PRESET", *name, "Print every value of this preset as TOML");
  app.footer(kPresetsHelp);
  return [name] {
    if (!name->empty()) {
      const train::EmbeddedPreset& preset = train::find_preset(*name);
      fmt::print("# {}: {}\n#\n{}\n{}", preset.name, train::describe_preset(preset), comment_of(preset.text),
                 train::to_toml(train::load_preset(preset.name)));
      return;
    }
    for (const train::EmbeddedPreset& preset : train::embedded_presets()) {
      fmt::print("{:<24}  {}\n", preset.name, train::describe_preset(preset));
    }
  };
}

}  // namespace

extern const Command presets_command;
const Command presets_command = {"presets", "List the presets, or print one", setup};

}  // namespace gan::cli
