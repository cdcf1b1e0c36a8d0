#include "metrics/nearest.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/text.h"

namespace gan::metrics {

namespace {

struct Best {
  float squared = std::numeric_limits<float>::infinity();
  std::int64_t index = -1;
};

/// The nearest candidate of each row by fast f32 distances; rounding may choose the other of two nearly equal ones.
std::vector<Best> search(const Rows& rows, const Rows& candidates, bool skip_self,
                         runtime::Communicator& ranks = runtime::one_rank()) {
  std::vector<Best> best(static_cast<std::size_t>(rows.count()));
  const auto visit = [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    Best& mine = best[static_cast<std::size_t>(i)];
    for (std::size_t j = 0; j < squared.size(); ++j) {
      const std::int64_t index = first + static_cast<std::int64_t>(j);
      if (squared[j] < mine.squared && !(skip_self && index == i)) mine = {squared[j], index};
    }
  };
  for_each_distance(rows, candidates, visit, ranks);
  collect_rows(ranks, rows, std::span(best));
  return best;
}

double exact_distance(const Rows& rows, std::int64_t i, const Rows& candidates, std::int64_t j) {
  return std::sqrt(squared_distance(rows.row(i), candidates.row(j)));
}

}  // namespace

void find_nearest(const Rows& rows, const Rows& candidates, std::int64_t first, Nearest& nearest) {
  nearest.index.resize(static_cast<std::size_t>(rows.count()), -1);
  nearest.distance.resize(nearest.index.size(), std::numeric_limits<double>::infinity());
  const std::vector<Best> best = search(rows, candidates, false);
  for (std::size_t i = 0; i < best.size(); ++i) {
    if (best[i].index < 0) continue;
    const double distance = exact_distance(rows, static_cast<std::int64_t>(i), candidates, best[i].index);
    if (distance >= nearest.distance[i]) continue;
    nearest.distance[i] = distance;
    nearest.index[i] = first + best[i].index;
  }
}

std::vector<double> nearest_other(const Rows& rows, runtime::Communicator& ranks) {
  if (rows.width < 1 || rows.count() < 2) base::fail_usage("a nearest other sample needs at least two samples");
  const std::vector<Best> best = search(rows, rows, true, ranks);
  std::vector<double> distances;
  for (std::size_t i = 0; i < best.size(); ++i)
    distances.push_back(exact_distance(rows, static_cast<std::int64_t>(i), rows, best[i].index));
  return distances;
}

std::vector<std::uint32_t> k_nearest(const Rows& rows, const Rows& candidates, int k) {
  require_same_width(rows, candidates);
  if (k < 1 || candidates.count() < k)
    base::fail_usage("{} nearest of {}", k, base::counted(candidates.count(), "candidate"));
  const auto size = static_cast<std::size_t>(k);
  std::vector<Best> best(static_cast<std::size_t>(rows.count()) * size);
  for_each_distance(rows, candidates, [&](std::int64_t i, std::int64_t first, std::span<const float> squared) {
    const std::span<Best> mine = std::span(best).subspan(static_cast<std::size_t>(i) * size, size);
    for (std::size_t j = 0; j < squared.size(); ++j) {
      if (squared[j] >= mine.back().squared) continue;
      std::size_t place = size - 1;  // the ones that are farther move back
      for (; place > 0 && squared[j] < mine[place - 1].squared; --place) mine[place] = mine[place - 1];
      mine[place] = {squared[j], first + static_cast<std::int64_t>(j)};
    }
  });
  std::vector<std::uint32_t> indices;
  indices.reserve(best.size());
  for (const Best& one : best) indices.push_back(static_cast<std::uint32_t>(std::max<std::int64_t>(one.index, 0)));
  return indices;
}

double median(std::vector<double> values) {
  if (values.empty()) base::fail_usage("median: no values");
  std::ranges::sort(values);
  const std::size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : (values[half - 1] + values[half]) / 2;
}

double share_smaller(std::vector<double> a, std::vector<double> b) {
  if (a.empty() || b.empty())
    base::fail_usage("{} compared with {}", a.size(), base::counted(static_cast<std::int64_t>(b.size()), "value"));
  std::ranges::sort(b);
  double pairs = 0;
  for (const double value : a) {
    const auto [first, last] = std::ranges::equal_range(b, value);
    pairs += static_cast<double>(b.end() - last) + static_cast<double>(last - first) / 2;
  }
  return pairs / (static_cast<double>(a.size()) * static_cast<double>(b.size()));
}

}  // namespace gan::metrics
