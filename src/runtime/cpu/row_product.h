#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// y = epilogue(w x) for a frozen matrix w [outputs, k] and each row x [k] of a batch. Reading w bounds the time of a
/// single row, so w is kept as int16 with a scale per output, and each kDepth elements of x are split into two int16
/// digits with a common scale. The integer products and sums are exact, so y does not depend on the other rows. A
/// single row runs on one thread, because waking another can cost more than the work, and allocates nothing.
class RowProduct {
 public:
  /// Whether it supports a product: b is frozen and transposed, and weights may be rounded; m is 1.
  static bool applies(const Product& product);
  /// The same for m above 1, where the epilogue only stores f32.
  static bool applies_to_rows(const Product& product);
  /// The kernel; for one row with the RowProduct as its detail. Empty if int16 would lose more than 1e-4 of the norm of
  /// w.
  static MadeProduct make(const Product& product, Workspace& workspace);

  /// Whether x is the result of `other`.
  bool follows(const RowProduct& other) const {
    return spec_.a == other.epilogue_.results[0].data && spec_.k == other.spec_.n;
  }

  /// With `next`, which follows this one, both run in turns: as soon as kDepth results are computed, `next` multiplies
  /// them. The next run reads both matrices in the opposite order. If they do not fit into a cache together, part of
  /// them is then still there, which would not be so if one ran after the other.
  void run(RowProduct* next = nullptr);
  /// Every row of the batch, on all threads.
  void run_rows();

 private:
  static constexpr std::int64_t kDepth = 128;
  static constexpr std::int64_t kRowsTogether = 8;  // share a block of w while it is in the cache

  /// The digits and sums of one row.
  struct Row {
    Row(std::int64_t depths, std::int64_t outputs);
    Buffer high, low;            // the digits of x
    std::vector<float> factors;  // scales of the digits, per run of kDepth elements
    Buffer partial_sums;         // [depths, outputs]
  };

  explicit RowProduct(const Product& product);
  static bool can_round(const Product& product);
  bool pack();
  void split(Row& row, std::int64_t number, std::int64_t depth) const;
  const std::int16_t* block(std::int64_t quad, std::int64_t depth) const;
  void multiply(Row& row, std::int64_t quad, std::int64_t depth, const std::int16_t* next_block) const;
  void add_up(const Row& row, std::int64_t part, float* sums) const;
  void finish(std::int64_t part);
  void run_rows(std::int64_t begin, std::int64_t end, std::vector<Row>& rows) const;

  BoundMatmul spec_;
  BoundChain epilogue_;
  float* dst_ = nullptr;                // of several rows, [m, outputs]
  std::int64_t group_;                  // outputs per vector
  std::int64_t groups_, quads_;         // groups of outputs; a quad is four groups
  std::int64_t depths_, parts_;         // runs of kDepth elements of x, and of kDepth outputs
  bool backwards_ = true;               // whether the last run read the matrix backwards
  Buffer weights_;                      // w as int16 in blocks [kDepth / 2, groups of a quad, group, 2], quad by quad
  Buffer factors_;                      // scales of the outputs
  std::vector<std::vector<Row>> rows_;  // of each thread: kRowsTogether or, for one row in all, one
  Buffer sums_;                         // of one row, [outputs]
  std::vector<std::function<void()>> epilogues_;  // of one row: for each part, applied to its sums
};

}  // namespace gan::runtime::cpu
