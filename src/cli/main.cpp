#include <fmt/core.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cctype>
#include <charconv>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>
#include <functional>
#include <map>
#include <new>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <thread>

#include "base/error.h"
#include "base/interrupt.h"
#include "base/text.h"
#include "cli/command.h"
#include "runtime/launcher.h"

namespace gan::cli {
namespace {

constexpr const char* kExamples = R"(Examples:
  gan data fetch mnist                                  get the data, once
  gan train --data mnist --out runs/a --time 3m         train the default preset for three minutes
  gan sample runs/a --label 7 --count 20 --out 7s.png   draw twenty sevens
  gan info runs/a                                       what is in the model
`gan COMMAND --help` says more about a command. Variables set options, too: GAN_TRAIN_BATCH=128 is --batch of gan train.
Exit codes: 0 done, 2 wrong use, 3 bad data or files, 4 a failed run.)";

std::string started_with;  // set once, by main

/// Throws a usage error for the first argument that a parser or its subcommands did not know.
void refuse_unknown(const CLI::App& app) {
  for (const CLI::App* subcommand : app.get_subcommands()) refuse_unknown(*subcommand);
  std::vector<std::string> rest = app.remaining();
  const bool ended = std::erase(rest, "--") > 0;  // remaining() includes the end of options
  if (rest.empty()) return;
  const std::string& word = rest.front();
  const std::string command = app.get_parent() ? app.get_name() + ": " : "";
  std::vector<std::string> known;
  if (!ended && word.size() > 1 && word.front() == '-') {
    for (const CLI::Option* option : app.get_options()) {
      for (const std::string& name : option->get_lnames()) known.push_back("--" + name);
    }
    base::fail_usage("{}unknown option \"{}\"{}", command, word,
                     base::did_you_mean(word.substr(0, word.find('=')), known));
  }
  for (const CLI::App* subcommand : app.get_subcommands([](const CLI::App*) { return true; })) {
    known.push_back(subcommand->get_name());
  }
  if (known.empty()) base::fail_usage("{}unexpected argument \"{}\"", command, word);
  base::fail_usage("unknown command \"{}{}\"{}", app.get_parent() ? app.get_name() + " " : "", word,
                   base::did_you_mean(word, known));
}

/// Throws a usage error for empty values, as of an unset shell variable, which would otherwise count as not given.
void refuse_empty(const CLI::App& app) {
  for (const CLI::App* subcommand : app.get_subcommands()) refuse_empty(*subcommand);
  for (const CLI::Option* option : app.get_options()) {
    const std::vector<std::string>& values = option->results();
    if (std::ranges::find(values, "") != values.end()) base::fail_usage("{}: the value is empty", option->get_name());
  }
}

/// Throws a data error if printing has failed. A launcher that is stopped reads its ranks no longer.
void require_printed() {
  const bool failed = std::fflush(stdout) != 0 || std::ferror(stdout);
  if (failed && !(base::is_interrupted() && runtime::launched_ranks() > 1))
    base::fail_data("standard output: cannot be written");
}

/// Prints an error as one line, ends all ranks, and returns the exit code. Ranks that fail alike print one line in all:
/// each gives those before it the time to end it.
int report(int code, const std::string& message) {
  const int rank = runtime::launched_rank();
  if (rank > 0 && runtime::launched_ranks() > 1) {
    std::signal(SIGTERM, SIG_DFL);
    std::this_thread::sleep_for(std::chrono::milliseconds(2000 + 500 * std::min(rank, 10)));
    fmt::print(stderr, "gan: rank {}: {}\n", rank, base::printable(message));
  } else {
    fmt::print(stderr, "gan: {}\n", base::printable(message));
  }
  std::fflush(stdout);
  runtime::abort_ranks(code);
  return code;
}

/// Checks and rewrites a whole number, since the parser reads 010 as 8 and truncates. Returns the error or "".
std::string require_decimal(std::string& text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return text + " is not a whole number, or too large";
  text = std::to_string(value);
  return "";
}

/// Lets a parser and its subcommands keep unknown arguments, so that refuse_unknown can suggest the nearest name.
void keep_unknown(CLI::App& app) {
  app.allow_extras();
  app.get_formatter()->column_width(34);
  for (CLI::Option* option : app.get_options({}))
    if (option->get_type_name().find("INT in ") != std::string::npos)
      option->transform(CLI::Validator(require_decimal, ""));
  for (CLI::App* subcommand : app.get_subcommands([](CLI::App*) { return true; })) keep_unknown(*subcommand);
}

std::string upper(std::string name) {
  for (char& c : name) c = c == '-' ? '_' : static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return name;
}

std::string prefix_of(const CLI::App& command) { return "GAN_" + upper(command.get_name()) + "_"; }

/// Calls function(name, option) for the options of a subcommand, with the name of the variable that sets the option:
/// GAN_TRAIN_BATCH for `gan train --batch`. `prefix`: "GAN_TRAIN_".
template <typename Function>
void for_each_own_variable(CLI::App& command, const std::string& prefix, const Function& function) {
  for (CLI::Option* option : command.get_options())
    if (!option->get_lnames().empty() && option != command.get_help_ptr())
      function(prefix + upper(option->get_lnames().front()), *option);
}

/// Calls function(name, option) for the options of a subcommand and of its own subcommands.
template <typename Function>
void for_each_variable(CLI::App& command, const std::string& prefix, const Function& function) {
  for_each_own_variable(command, prefix, function);
  for (CLI::App* part : command.get_subcommands([](CLI::App*) { return true; }))
    for_each_variable(*part, prefix + upper(part->get_name()) + "_", function);
}

/// Lets variables set the options of the subcommands that `arguments` name. Others are left out, since `gan bench step`
/// and `gan bench sample` store an option of the same name in one variable.
void read_variables(CLI::App& app, std::span<char* const> arguments) {
  std::string prefix = "GAN_";
  CLI::App* command = &app;
  for (const std::string_view argument : arguments) {
    const auto named = command->get_subcommands([&](CLI::App* part) { return part->get_name() == argument; });
    if (named.empty()) continue;
    command = named.front();
    prefix += upper(command->get_name()) + "_";
    for_each_own_variable(*command, prefix, [](const std::string& name, CLI::Option& option) { option.envname(name); });
  }
}

/// Lets no variable set an option any longer, so that --help does not list them.
void forget_variables(CLI::App& app) {
  for (CLI::App* command : app.get_subcommands([](CLI::App*) { return true; }))
    for_each_variable(*command, "", [](const std::string&, CLI::Option& option) { option.envname(""); });
}

/// Throws a usage error for a variable that begins as those of this subcommand but sets none of its options.
void refuse_unknown_variables(CLI::App& command) {
  std::vector<std::string> known;
  for_each_variable(command, prefix_of(command),
                    [&](const std::string& name, const CLI::Option&) { known.push_back(name); });
  for (char** entry = environ; *entry; ++entry) {
    const std::string name(*entry, std::strcspn(*entry, "="));
    if (name.starts_with(prefix_of(command)) && std::ranges::find(known, name) == known.end())
      base::fail_usage("the variable {} sets no option of gan {}{}", name, command.get_name(),
                       base::did_you_mean(name, known));
  }
}

/// Throws a parse error for a variable whose value does not fit its option: CLI11 ignores it from version 2.4 on.
void refuse_wrong_variables(CLI::App& command) {
  for (CLI::Option* option : command.get_options()) {
    const char* const value = option->get_envname().empty() ? nullptr : std::getenv(option->get_envname().c_str());
    if (!value || !*value || option->count() > 0) continue;
    option->add_result(value);
    option->run_callback();
  }
  for (CLI::App* part : command.get_subcommands()) refuse_wrong_variables(*part);
}

/// Restarts the program with a short spin count for OpenMP's waits, unless the user has set one. The default spins for
/// milliseconds, which makes training ten times slower when another process needs a core. A restart is needed because
/// libgomp reads its environment before main; if it fails, the program goes on with the default.
void shorten_waits(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") || std::getenv("GOMP_SPINCOUNT")) return;
  setenv("GOMP_SPINCOUNT", "2000", 1);
  execv("/proc/self/exe", argv);
}

/// Gives the process the program's name, by which top and pkill know it; after the restart it would be "exe".
void name_process() { prctl(PR_SET_NAME, "gan"); }

int run(int argc, char** argv) {
  for (int i = 0; i < argc; ++i) started_with += (i > 0 ? " " : "") + base::shell_quoted(argv[i]);
  CLI::App app("gan trains, samples and inspects conditional GANs.", "gan");
  app.set_version_flag("--version", "gan " GAN_VERSION, "Print the version and exit");
  app.set_help_flag("-h,--help", "Print this help and exit");
  app.require_subcommand(0, 1);
  std::map<const CLI::App*, std::function<void()>> actions;
  for (const Command* command : command_table()) {
    CLI::App* subcommand = app.add_subcommand(std::string(command->name), std::string(command->summary));
    actions[subcommand] = command->setup(*subcommand);
  }
  app.footer(kExamples);  // last, as subcommands inherit what their parent has
  keep_unknown(app);
  read_variables(app, {argv, static_cast<std::size_t>(argc)});
  try {
    app.parse(argc, argv);
    for (CLI::App* command : app.get_subcommands()) refuse_wrong_variables(*command);
  } catch (const CLI::Success& success) {  // --help, --version
    forget_variables(app);
    return app.exit(success);
  } catch (const CLI::ParseError& error) {
    refuse_unknown(app);  // a misspelt option is more likely than a missing one
    base::fail_usage("{}", error.what());
  }
  refuse_unknown(app);
  refuse_empty(app);
  const auto chosen = app.get_subcommands();
  if (!chosen.empty()) refuse_unknown_variables(*chosen.front());
  if (chosen.empty()) {
    forget_variables(app);
    fmt::print("{}", app.help());
    return static_cast<int>(base::ErrorKind::usage);
  }
  actions.at(chosen.front())();
  require_printed();
  runtime::leave_ranks();
  return 0;
}

}  // namespace

std::string command_line() { return started_with; }

}  // namespace gan::cli

int main(int argc, char** argv) {
  using gan::base::ErrorKind;
  using gan::cli::report;
  // Short commands are not worth a restart.
  const std::string_view command = argc > 1 ? argv[1] : "";
  static constexpr std::string_view kLong[] = {"train", "eval", "bench", "serve", "studio", "playground"};
  if (std::ranges::find(kLong, command) != std::end(kLong)) gan::cli::shorten_waits(argv);
  gan::cli::name_process();
  std::signal(SIGXFSZ, SIG_IGN);  // write() then reports an error when a file may not grow
  try {
    return gan::cli::run(argc, argv);
  } catch (const gan::base::Error& error) {
    return report(static_cast<int>(error.kind()), error.what());
  } catch (const std::filesystem::filesystem_error& error) {
    return report(static_cast<int>(ErrorKind::data), error.path1().string() + ": " + error.code().message());
  } catch (const std::system_error& error) {  // standard output cannot be written
    return report(static_cast<int>(ErrorKind::data), error.what());
  } catch (const std::bad_alloc&) {
    return report(static_cast<int>(ErrorKind::run),
                  "out of memory; try a smaller batch, smaller networks or fewer samples at a time");
  } catch (const std::exception& error) {
    return report(static_cast<int>(ErrorKind::run), error.what());
  }
}
