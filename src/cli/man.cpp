#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <string>
#include <string_view>

#include "base/text.h"
#include "cli/command.h"
#include "cli/option_text.h"

namespace gan::cli {
namespace {

constexpr const char* kManHelp = R"(Examples:
  gan man | man -l -
  gan man > ~/.local/share/man/man1/gan.1)";

/// The text for roff, which gives some characters another meaning or another form.
std::string escaped(std::string_view text) {
  std::string result;
  if (text.starts_with('.') || text.starts_with('\'')) result += "\\&";
  for (const char c : text) {
    switch (c) {
      case '\\':
        result += "\\e";
        break;
      case '-':
        result += "\\-";
        break;
      case '\'':
        result += "\\(aq";
        break;
      case '"':
        result += "\\(dq";
        break;
      case '`':
        result += "\\(ga";
        break;
      case '^':
        result += "\\(ha";
        break;
      case '~':
        result += "\\(ti";
        break;
      default:
        result += c;
    }
  }
  return result;
}

/// A footer of --help: its paragraphs are filled; what is indented or in columns stays as it is.
std::string paragraphs(const std::string& text) {
  std::string result;
  bool verbatim = false, starts = true;
  for (const std::string& line : base::split(text, '\n')) {
    if (line.empty()) {
      starts = true;
      continue;
    }
    const bool as_it_is = line.starts_with(' ') || line.find("  ") != std::string::npos;
    if (verbatim && !as_it_is) result += ".fi\n";
    if (starts || (verbatim && !as_it_is)) result += ".PP\n";
    if (as_it_is && !verbatim) result += ".nf\n";
    result += escaped(line) + "\n";
    verbatim = as_it_is;
    starts = false;
  }
  return result + (verbatim ? ".fi\n" : "");
}

std::string option_entry(const OptionText& option) {
  std::string entry = ".TP\n";
  for (const std::string& name : option.names)
    entry += (entry.size() > 4 ? ", " : "") + ("\\fB" + escaped(name) + "\\fR");
  if (!option.value.empty()) entry += (option.names.empty() ? "" : " ") + ("\\fI" + escaped(option.value) + "\\fR");
  entry += "\n" + escaped(option.help) + (option.required ? " (required)" : "") + "\n";
  // Presets have a command of their own.
  if (!option.choices.empty() && option.value != "PRESET" &&
      option.help.find(option.choices.back()) == std::string::npos)
    entry += ".br\nOne of: " + escaped(base::joined(option.choices)) + ".\n";
  return entry;
}

std::string command_section(const std::string& path, CLI::App& app) {
  std::string title = path.empty() ? "" : ".SS gan " + path;
  for (const OptionText& argument : positionals(app))
    title += " " + (argument.required ? argument.value : "[" + argument.value + "]");
  std::string text = path.empty() ? "" : escaped(app.get_description()) + ".\n";
  for (const CLI::App* part : parts(app))
    if (!path.empty()) text += fmt::format(".TP\n\\fB{}\\fR\n{}\n", part->get_name(), escaped(part->get_description()));
  for (const OptionText& argument : positionals(app)) text += option_entry(argument);
  for (const std::string& group : app.get_groups()) {
    if (group.empty()) continue;  // hidden
    std::string entries;
    for (const OptionText& option : options(app, group))
      if (path.empty() || option.names.front() != "-h") entries += option_entry(option);
    if (!entries.empty() && group != "Options" && group != "OPTIONS")
      entries = ".PP\n\\fI" + escaped(group) + "\\fR\n" + entries;
    text += entries;
  }
  return (title.empty() ? "" : title + "\n") + text;
}

std::string man_page(CLI::App& program) {
  std::string page = fmt::format(R"(.\" Printed by `gan man`.
.TH GAN 1 "" "gan {}" "User Commands"
.ad l
.SH NAME
gan \- train, sample and inspect conditional GANs
.SH SYNOPSIS
.B gan
.I COMMAND
[\fIOPTIONS\fR]
.SH DESCRIPTION
{}
)",
                                 GAN_VERSION, escaped(program.get_description()));
  page += paragraphs(program.get_footer()) + ".SH OPTIONS\n" + command_section("", program) + ".SH COMMANDS\n";
  visit_commands(program, [&](const std::string& path, CLI::App& app) {
    if (path.empty()) return;
    page += command_section(path, app);
    page += paragraphs(app.get_footer());
  });
  return page;
}

std::function<void()> setup(CLI::App& app) {
  app.footer(kManHelp);
  return [&app] { fmt::print("{}", man_page(*app.get_parent())); };
}

}  // namespace

extern const Command man_command;
const Command man_command = {"man", "Print the manual page", setup};

}  // namespace gan::cli
