#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/text.h"
#include "cli/command.h"
#include "cli/option_text.h"

namespace gan::cli {
namespace {

constexpr const char* kCompletionsHelp = R"(Examples:
  gan completions bash > ~/.local/share/bash-completion/completions/gan
  gan completions zsh > ~/.zfunc/_gan                      with ~/.zfunc in fpath
  gan completions fish > ~/.config/fish/completions/gan.fish)";

/// The text in single quotes; `escaped` characters get a backslash, one of the shell's "'" as well.
std::string quoted(const std::string& text, std::string_view escaped, const char* quote) {
  std::string result = "'";
  for (const char c : text) {
    if (c == '\'') {
      result += quote;
      continue;
    }
    if (escaped.find(c) != std::string_view::npos) result += '\\';
    result += c;
  }
  return result + "'";
}

/// "a b c"
std::string words(const std::vector<std::string>& parts) { return fmt::format("{}", fmt::join(parts, " ")); }

std::vector<std::string> names_of_parts(CLI::App& app) {
  std::vector<std::string> names;
  for (const CLI::App* part : parts(app)) names.push_back(part->get_name());
  return names;
}

// ---- bash

/// Patterns of a case, "'train --out' | 'train --data'", for the options of one kind.
std::string patterns(const std::vector<std::string>& options) {
  std::vector<std::string> each;
  for (const std::string& option : options) each.push_back("'" + option + "'");
  return fmt::format("{}", fmt::join(each, " | "));
}

std::string bash(CLI::App& program) {
  std::string commands, candidates;
  std::vector<std::string> paths, free;
  std::map<std::string, std::vector<std::string>> choices;
  visit_commands(program, [&](const std::string& path, CLI::App& app) {
    if (!path.empty()) {
      // A part stands before its command, whose pattern would match, too.
      const std::string line = fmt::format("    '{0} '*) command='{0}' ;;\n", path);
      const std::size_t command = commands.find(fmt::format("    '{} '*)", path.substr(0, path.find(' '))));
      commands.insert(std::min(command, commands.size()), line);
    }
    std::vector<std::string> here = names_of_parts(app);
    bool files = false;
    for (const OptionText& argument : positionals(app)) {
      here.insert(here.end(), argument.choices.begin(), argument.choices.end());
      files = files || argument.path;
    }
    for (const OptionText& option : options(app))
      for (const std::string& name : option.names) {
        here.push_back(name);
        const std::string key = path + " " + name;
        if (!option.choices.empty())
          choices[words(option.choices)].push_back(key);
        else if (!option.value.empty())
          (option.path ? paths : free).push_back(key);
      }
    candidates += fmt::format("        '{}') words='{}'{} ;;\n", path, words(here), files ? " files=yes" : "");
  });
  std::string values;
  for (const auto& [list, keys] : choices) values += fmt::format("    {}) words='{}' ;;\n", patterns(keys), list);
  return fmt::format(R"(# Completions of gan for bash: what `gan completions bash` prints.
_gan() {{
  local current=${{COMP_WORDS[COMP_CWORD]}} previous=${{COMP_WORDS[COMP_CWORD - 1]}} command='' words='' files=''
  local before=("${{COMP_WORDS[@]:1:COMP_CWORD - 1}}")
  COMPREPLY=()
  if [[ $current == = ]]; then  # --option=VALUE is three words
    current=''
  elif [[ $previous == = ]]; then
    previous=${{COMP_WORDS[COMP_CWORD - 2]}}
  fi
  case "${{before[*]:0:2}} " in
{}  esac
  case "$command $previous" in
{}    {}) files=yes ;;
    {}) ;;
    *)
      case "$command" in
{}      esac
      ;;
  esac
  mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  [[ $files ]] || compopt +o default 2> /dev/null
}}
complete -o default -F _gan gan
)",
                     commands, values, patterns(paths), patterns(free), candidates);
}

// ---- zsh

std::string zsh_action(const OptionText& text) {
  if (!text.choices.empty()) return "(" + words(text.choices) + ")";
  return text.path ? "_files" : " ";
}

std::string zsh_quoted(const std::string& text) { return quoted(text, "", R"('\'')"); }

/// "text" in a part of a specification of _arguments, whose parts end at ":" and "]".
std::string zsh_part(const std::string& text) {
  std::string part;
  for (const char c : text) {
    if (c == ':' || c == '[' || c == ']' || c == '\\') part += '\\';
    part += c;
  }
  return part;
}

std::string zsh(CLI::App& program) {
  std::string commands, cases;
  visit_commands(program, [&](const std::string& path, CLI::App& app) {
    if (!path.empty()) {
      const bool part = path.find(' ') != std::string::npos;
      const std::string line = fmt::format("    '{0} '*) command='{0}' depth={1} ;;\n", path, part ? 2 : 1);
      const std::size_t command = commands.find(fmt::format("    '{} '*)", path.substr(0, path.find(' '))));
      commands.insert(std::min(command, commands.size()), line);
    }
    std::string specs;
    for (const OptionText& option : options(app))
      for (const std::string& name : option.names) {
        std::string spec = fmt::format("{}{}", option.repeated ? "*" : "", name);
        if (!option.value.empty() && name.starts_with("--")) spec += "=";
        spec += "[" + zsh_part(option.help) + "]";
        if (!option.value.empty()) spec += ":" + zsh_part(option.value) + ":" + zsh_action(option);
        specs += " \\\n        " + zsh_quoted(spec);
      }
    for (const OptionText& argument : positionals(app))
      specs += " \\\n        " + zsh_quoted(fmt::format("{}:{}:{}", argument.required ? "" : ":",
                                                        zsh_part(argument.value), zsh_action(argument)));
    if (const auto known = parts(app); !known.empty()) {
      specs += " \\\n        '1:command:->commands'";
      std::string described;
      for (const CLI::App* part : known)
        described += "\n        " + zsh_quoted(part->get_name() + ":" + part->get_description());
      cases += fmt::format("    '{}')\n      known=({})\n      _arguments{}\n      ;;\n", path, described, specs);
    } else {
      cases += fmt::format("    '{}')\n      _arguments{}\n      ;;\n", path, specs);
    }
  });
  return fmt::format(R"(#compdef gan
# Completions of gan for zsh: what `gan completions zsh` prints.
_gan() {{
  local command='' depth=0 state='' line='' known=()
  typeset -A opt_args
  case "${{words[2,CURRENT-1]}} " in
{}  esac
  (( CURRENT -= depth ))
  shift $depth words
  case "$command" in
{}  esac
  [[ $state == commands ]] && _describe command known
}}
_gan "$@"
)",
                     commands, cases);
}

// ---- fish

std::string fish(CLI::App& program) {
  std::string lines;
  const auto quote = [](const std::string& text) { return quoted(text, "\\", "\\'"); };
  visit_commands(program, [&](const std::string& path, CLI::App& app) {
    const std::string here = fmt::format("complete -c gan -n '__gan_at {}'", path);
    const std::string below = path.empty() ? here : fmt::format("complete -c gan -n '__gan_below {}'", path);
    for (const CLI::App* part : parts(app))
      lines += fmt::format("{} -a {} -d {}\n", here, part->get_name(), quote(part->get_description()));
    for (const OptionText& argument : positionals(app)) {
      if (!argument.choices.empty()) lines += fmt::format("{} -a {}\n", below, quote(words(argument.choices)));
      if (argument.path) lines += fmt::format("{} -F\n", below);
    }
    for (const OptionText& option : options(app)) {
      lines += below;
      for (const std::string& name : option.names)
        lines += name.starts_with("--") ? " -l " + name.substr(2) : " -s " + name.substr(1);
      if (option.path)
        lines += " -r -F";
      else if (!option.choices.empty())
        lines += " -x -a " + quote(words(option.choices));
      else if (!option.value.empty())
        lines += " -x";
      lines += " -d " + quote(option.help) + "\n";
    }
  });
  return R"(# Completions of gan for fish: what `gan completions fish` prints.
function __gan_at
    set -l given (commandline -opc)
    test "$given[2..]" = "$argv"
end
function __gan_below
    set -l given (commandline -opc)
    string match -q -- "$argv *" "$given[2..] "
end
complete -c gan -f
)" + lines;
}

using Write = std::string (*)(CLI::App& program);
const std::map<std::string, Write> kShells = {{"bash", bash}, {"fish", fish}, {"zsh", zsh}};

std::function<void()> setup(CLI::App& app) {
  auto shell = std::make_shared<std::string>();
  std::vector<std::string> names;
  for (const auto& [name, write] : kShells) names.push_back(name);
  app.add_option("SHELL", *shell, "bash, fish or zsh")->required()->check(CLI::IsMember(names));
  app.footer(kCompletionsHelp);
  return [&app, shell] { fmt::print("{}", kShells.at(*shell)(*app.get_parent())); };
}

}  // namespace

extern const Command completions_command;
const Command completions_command = {"completions", "Print completions of commands and options for a shell", setup};

}  // namespace gan::cli
