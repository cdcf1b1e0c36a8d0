#pragma once

#include <CLI/CLI.hpp>
#include <memory>
#include <string>
#include <vector>

#include "data/reader.h"

namespace gan::cli {

/// The options that say how a source is read: --condition, --size, ... They set the keys data.* of a configuration.
struct ReadFlags {
  std::vector<std::pair<std::string, std::string>> texts;  ///< key and value; "": not given
  bool transpose = false, skip_broken = false;

  /// The options that were given, as key=value.
  std::vector<std::string> settings() const;
  /// The same as a reader takes them, over `start`. Throws a usage error for values that cannot be.
  data::ReadOptions apply(const data::ReadOptions& start = {}) const;
};

/// Adds these options to a command.
std::shared_ptr<ReadFlags> add_read_flags(CLI::App& app);

}  // namespace gan::cli
