#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"

namespace gan::base {

/// The table's entry with this name. Throws a usage error ("no WHAT is called ...") that suggests the nearest name.
template <typename Entry>
const Entry& find_in_table(std::span<const Entry* const> table, std::string_view name, std::string_view what) {
  std::vector<std::string> names;
  for (const Entry* entry : table) {
    if (entry->name == name) return *entry;
    names.emplace_back(entry->name);
  }
  fail_usage("no {} is called \"{}\"{}", what, name, did_you_mean(std::string(name), names));
}

}  // namespace gan::base
