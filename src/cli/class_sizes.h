#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "data/condition.h"

namespace gan::cli {

/// The number of rows of each category of column `c`.
std::vector<std::int64_t> class_sizes(const data::ConditionSpec& condition, const data::ConditionRows& rows,
                                      std::size_t c);

/// A note if the largest class has at least twice as many samples as the smallest that is not empty, else "". `sample`
/// is what one is called, such as "picture".
std::string unequal_note(const data::ConditionColumn& column, const std::vector<std::int64_t>& sizes,
                         const char* sample);

}  // namespace gan::cli
