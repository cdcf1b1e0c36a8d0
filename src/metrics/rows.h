#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace gan::metrics {

/// Samples or features [N, D], row-major; the numbers stay the caller's.
struct Rows {
  std::span<const float> values;
  std::int64_t width = 0;  ///< D, at least 1

  std::int64_t count() const { return static_cast<std::int64_t>(values.size()) / width; }
  std::span<const float> row(std::int64_t i) const {
    return values.subspan(static_cast<std::size_t>(i * width), static_cast<std::size_t>(width));
  }
  Rows slice(std::int64_t first, std::int64_t rows) const {
    return {values.subspan(static_cast<std::size_t>(first * width), static_cast<std::size_t>(rows * width)), width};
  }
};

/// Throws a usage error unless both have rows of one width.
void require_same_width(const Rows& a, const Rows& b);

/// Takes `values`, the results of row i of a with the rows `first` and on of b.
using VisitRow = std::function<void(std::int64_t i, std::int64_t first, std::span<const float> values)>;

/// Calls visit with the inner products of every row of a with every row of b: for each row of a several times, with
/// pieces of b in order. Rows of a may be visited by several threads at a time. The products are made a block at a
/// time by the engine's matrix product in f32.
void for_each_product(const Rows& a, const Rows& b, const VisitRow& visit);

/// The same with squared Euclidean distances, >= 0. They are |a|^2 + |b|^2 - 2 ab about the mean of b, so an error of
/// some 1e-6 times the squared distances from that mean is in them: equal rows need not come out as 0.
void for_each_distance(const Rows& a, const Rows& b, const VisitRow& visit);

/// The squared distance of two rows, summed in double.
double squared_distance(std::span<const float> a, std::span<const float> b);

/// `count` different rows, chosen and ordered by the seed alone (all of them, in random order, if there are no more).
std::vector<float> choose_rows(const Rows& rows, std::int64_t count, std::uint64_t seed);

}  // namespace gan::metrics
