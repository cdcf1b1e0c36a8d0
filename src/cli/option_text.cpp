#include "cli/option_text.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>

#include "base/text.h"
#include "train/preset.h"

namespace gan::cli {
namespace {

/// Whether values that are called like this may be files or folders: "DIR", "FILE|DIR", "X.csv|npy".
bool names_path(const std::string& value) {
  static constexpr const char* kPaths[] = {"FILE", "DIR",   "PATH",   "RUNDIR", "MODEL",
                                           "OUT",  "STATE", "SOURCE", "SUBJECT"};
  const std::size_t dot = value.find('.');
  const bool has_suffix = dot < value.size() - 1 && std::islower(static_cast<unsigned char>(value[dot + 1]));
  return has_suffix || std::ranges::find(kPaths, value.substr(0, value.find_first_of(".|"))) != std::end(kPaths);
}

/// The words of "crop|pad|stretch"; of "N|dynamic" those that are not names of values.
std::vector<std::string> alternatives(const std::string& value) {
  std::vector<std::string> words = base::split(value, '|');
  if (words.size() < 2) return {};
  std::erase_if(words, [](const std::string& word) {
    return std::ranges::any_of(word, [](unsigned char c) { return !std::islower(c) && !std::isdigit(c); });
  });
  return words;
}

}  // namespace

OptionText describe(const CLI::Option& option) {
  OptionText text;
  for (const std::string& name : option.get_snames()) text.names.push_back("-" + name);
  for (const std::string& name : option.get_lnames()) text.names.push_back("--" + name);
  text.help = option.get_description();
  text.required = option.get_required();
  text.repeated = option.get_items_expected_max() > 1;
  if (option.get_items_expected_max() == 0) return text;  // a flag
  // CLI11 appends what checks a value: "P:{auto,f32}", "N:INT in [1 - 9]".
  const std::string type = option.get_type_name();
  const std::size_t end = std::min(type.find(":{"), type.find(":INT in ["));
  text.value = option.get_positional() ? option.get_name(true) : type.substr(0, end);
  if (end != std::string::npos && type[end + 1] == '{') {
    text.choices = base::split(type.substr(end + 2, type.find('}', end) - end - 2), ',');
  } else if (text.value == "PRESET") {
    for (const train::EmbeddedPreset& preset : train::embedded_presets()) text.choices.emplace_back(preset.name);
  } else if (names_path(text.value)) {
    text.path = true;
  } else {
    text.choices = alternatives(text.value);
  }
  return text;
}

std::vector<OptionText> positionals(const CLI::App& app) {
  std::vector<OptionText> texts;
  for (const CLI::Option* option : app.get_options())
    if (option->get_positional()) texts.push_back(describe(*option));
  return texts;
}

std::vector<OptionText> options(const CLI::App& app, const std::string& group) {
  std::vector<OptionText> texts;
  for (const CLI::Option* option : app.get_options())
    if (!option->get_positional() && (group.empty() || option->get_group() == group))
      texts.push_back(describe(*option));
  return texts;
}

std::vector<CLI::App*> parts(CLI::App& app) {
  return app.get_subcommands([](const CLI::App* part) { return !part->get_group().empty(); });
}

void visit_commands(CLI::App& program, const std::function<void(const std::string&, CLI::App&)>& visit) {
  visit("", program);
  for (CLI::App* command : parts(program)) {
    visit(command->get_name(), *command);
    for (CLI::App* part : parts(*command)) visit(command->get_name() + " " + part->get_name(), *part);
  }
}

}  // namespace gan::cli
