#include "cli/class_sizes.h"

#include <fmt/core.h>

#include <algorithm>

namespace gan::cli {

std::vector<std::int64_t> class_sizes(const data::ConditionSpec& condition, const data::ConditionRows& rows,
                                      std::size_t c) {
  std::vector<std::int64_t> sizes(static_cast<std::size_t>(condition.columns[c].categories));
  for (const std::int32_t category : rows.categories(c)) ++sizes[static_cast<std::size_t>(category)];
  return sizes;
}

std::string unequal_note(const data::ConditionColumn& column, const std::vector<std::int64_t>& sizes,
                         const char* sample) {
  constexpr std::int64_t kUnequal = 2;
  const auto most = std::ranges::max_element(sizes);
  const auto least = std::ranges::min_element(
      sizes, {}, [&](std::int64_t size) { return size > 0 ? size : *most; });  // an empty class has no ratio
  if (*least == 0 || *most < kUnequal * *least) return "";
  const auto name = [&](auto it) { return column.name_of(static_cast<std::int32_t>(it - sizes.begin())); };
  return fmt::format("{} {} has {:.3g} times as many {}s as {}; train.balance = classes draws all equally often",
                     column.name, name(most), static_cast<double>(*most) / static_cast<double>(*least), sample,
                     name(least));
}

}  // namespace gan::cli
