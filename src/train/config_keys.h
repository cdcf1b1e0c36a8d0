#pragma once

#include <functional>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "train/config.h"

/// The table of all keys of a Config, such as train.batch.
namespace gan::train {

using Integers = std::vector<std::int64_t>;
using Field = std::variant<bool*, std::int64_t*, double*, std::string*, Integers*>;
using Value = std::variant<bool, std::int64_t, double, std::string, Integers>;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// One key: its name, its field in a Config, its allowed values and its help.
struct Key {
  std::string name;
  std::function<Field(Config&)> field;
  std::string_view help;
  double minimum = -kNoLimit;  ///< of a number, or of each element of a list
  double maximum = kNoLimit;
  bool open = false;                      ///< the maximum itself is excluded
  std::vector<std::string> choices = {};  ///< allowed texts; empty: any
  void (*after)(Config&) = nullptr;       ///< sets the values that depend on this one
  bool alias = false;                     ///< sets other keys; never printed or compared
  bool resumable = false;                 ///< may change with --resume
  bool in_model = true;                   ///< kept in model files
  bool duration = false;                  ///< seconds, also as "3m"
};

/// Every key, in the order in which they are read and printed: general ones come before those that refine them.
const std::vector<Key>& keys();

/// The keys that set how long to train; a run has exactly one of them above 0.
inline constexpr std::string_view kBudgets[] = {"train.steps", "train.epochs", "train.time"};

}  // namespace gan::train
