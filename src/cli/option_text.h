#pragma once

#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

namespace gan::cli {

/// What the manual page and the completions say of an option or a positional argument.
struct OptionText {
  std::vector<std::string> names = {};    ///< "-h", "--help"; none for a positional argument
  std::string value = {};                 ///< what stands for the value, such as "FILE.png"; "" for a flag
  std::vector<std::string> choices = {};  ///< the values if they are known
  std::string help = {};
  bool path = false;  ///< whether the value may be a file or a folder
  bool required = false;
  bool repeated = false;  ///< whether it takes several values
};

OptionText describe(const CLI::Option& option);

/// The positional arguments of a command, in order.
std::vector<OptionText> positionals(const CLI::App& app);

/// The options of a command, in order; of one group if a name is given.
std::vector<OptionText> options(const CLI::App& app, const std::string& group = {});

/// The commands of the program or the parts of a command, in order, without hidden ones.
std::vector<CLI::App*> parts(CLI::App& app);

/// Calls `visit` for the program, its commands and their parts, parents first, with their path: "", "bench", "bench
/// step".
void visit_commands(CLI::App& program, const std::function<void(const std::string&, CLI::App&)>& visit);

}  // namespace gan::cli
