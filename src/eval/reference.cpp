#include "eval/reference.h"

#include <algorithm>
#include <span>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "data/shuffle.h"
#include "data/source.h"

namespace gan::eval {

Reference open_reference(const std::string& source, const data::SourceOptions& options) {
  data::SourceOptions part = options;
  part.split = data::Split::train;
  data::Dataset all = data::open_source(source, part);
  if (data::has_test_part(source)) {
    part.split = data::Split::test;
    data::Dataset test = data::open_source(source, part);
    if (test.sample_shape != all.sample_shape)
      base::fail_data("{}: the test part has samples {}, the rest {}", source, graph::to_string(test.sample_shape),
                      graph::to_string(all.sample_shape));
    data::align_condition(test, all.condition);
    std::string hash = all.hash;
    return {std::move(all), std::move(test), "test part of " + source, std::move(hash)};
  }
  const std::int64_t held_out = all.count() / 10;
  if (held_out < 1)
    base::fail_data("{}: {}; a tenth of them is held out to compare with, so give 10 or more", source,
                    base::counted(all.count(), "sample"));
  // The tenth is random, as the data may be sorted by class or cycle through the classes.
  data::Shuffle shuffle(static_cast<std::uint32_t>(all.count()), 0);
  const std::span<const std::uint32_t> order = shuffle.epoch(0);
  std::vector<std::uint32_t> chosen(order.begin(), order.begin() + held_out);
  std::vector<std::uint32_t> rest(order.begin() + held_out, order.end());
  std::ranges::sort(chosen);
  std::ranges::sort(rest);
  return {data::subset(all, rest), data::subset(all, chosen), "held-out tenth of " + source, all.hash};
}

}  // namespace gan::eval
