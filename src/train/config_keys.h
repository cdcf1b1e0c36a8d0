#pragma once

#include <functional>
#include <limits>
#include <string>
#include <variant>
#include <vector>

#include "train/config.h"

/// The table of every key of a Config: what it is called, where its value is, what it may be and what it means.
namespace gan::train {

using Integers = std::vector<std::int64_t>;
using Field = std::variant<bool*, std::int64_t*, double*, std::string*, Integers*>;
using Value = std::variant<bool, std::int64_t, double, std::string, Integers>;

constexpr double kNoLimit = std::numeric_limits<double>::infinity();

/// One key: its name, where its value is, what it may be and what it means.
struct Key {
  std::string name;
  std::function<Field(Config&)> field;
  std::string_view help;
  double minimum = -kNoLimit;  ///< of a number, or of each number of a list
  double maximum = kNoLimit;
  bool open = false;                      ///< the maximum itself is excluded
  std::vector<std::string> choices = {};  ///< of text; empty: any
  void (*after)(Config&) = nullptr;       ///< what else follows from a new value
  bool alias = false;                     ///< sets other keys; never printed or compared
  bool resumable = false;                 ///< may be given anew with --resume
  bool in_model = true;                   ///< kept in model files
  bool duration = false;                  ///< seconds, also as "3m"
};

/// Every key, in the order in which they are read and printed: general ones come before those that refine them.
const std::vector<Key>& keys();

/// The keys of which a run has one: how long to train.
inline constexpr std::string_view kBudgets[] = {"train.steps", "train.epochs", "train.time"};

}  // namespace gan::train
