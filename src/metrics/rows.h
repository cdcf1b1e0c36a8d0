#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "runtime/backend.h"
#include "runtime/communicator.h"

namespace gan::metrics {

/// A view of samples or features [N, D], row-major; the caller owns the memory.
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

/// Throws a usage error unless both have at least one row, and rows of the same width.
void require_same_width(const Rows& a, const Rows& b);

/// The number of rows of a that are multiplied at a time; ranks take such blocks in turn.
std::int64_t block_of(const Rows& a);

/// Receives `values`, the results for row i of a and the rows first, first + 1, ... of b.
using VisitRow = std::function<void(std::int64_t i, std::int64_t first, std::span<const float> values)>;

/// Calls visit with the inner products, in f32, of every row of a with every row of b. Each row of a is visited once
/// for each piece of b, in order of the pieces. Several threads may visit different rows of a at a time.
void for_each_product(const Rows& a, const Rows& b, const VisitRow& visit);

/// The same with squared Euclidean distances, >= 0. They are computed as |a|^2 + |b|^2 - 2 ab relative to the mean of
/// b, with errors of about 1e-6 times the squared distances from that mean, so the result for equal rows may differ
/// from 0.
///
/// Several ranks take blocks of rows of a in turn: each visits its own, and collect_rows gives it the others' results.
/// `backend` multiplies; null is the CPU.
void for_each_distance(const Rows& a, const Rows& b, const VisitRow& visit,
                       const runtime::Communicator& ranks = runtime::one_rank(),
                       const runtime::Backend* backend = nullptr);

/// Completes `values`, one for each row of a, of which this rank has computed those of the rows that it has visited.
template <typename Value>
void collect_rows(runtime::Communicator& ranks, const Rows& a, std::span<Value> values) {
  runtime::collect_pieces(ranks, std::as_writable_bytes(values), static_cast<std::size_t>(block_of(a)) * sizeof(Value),
                          /*on_all=*/true);
}

/// The squared distance of two rows, summed in double.
double squared_distance(std::span<const float> a, std::span<const float> b);

/// `count` different rows (all, if there are fewer) in random order; the choice depends on the seed alone.
std::vector<float> choose_rows(const Rows& rows, std::int64_t count, std::uint64_t seed);

}  // namespace gan::metrics
