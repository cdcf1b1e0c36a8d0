#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "runtime/cpu/products.h"

namespace gan::runtime::cpu {

/// y = epilogue(w x) for a frozen matrix w [outputs, k] and one row x [k], as for a single sample. Reading w bounds the
/// time, so w is kept as int16 with a scale per output, and each kDepth elements of x are split into two int16 digits
/// with a common scale. The integer products and sums are exact. Runs on one thread, because waking another can cost
/// more than the work, and allocates nothing.
class RowProduct {
 public:
  /// Whether it supports a product: m is 1, b frozen and transposed, and weights may be rounded.
  static bool applies(const Product& product);
  /// The kernel, with the RowProduct as its detail. Empty if int16 would lose more than 1e-4 of the norm of w.
  static MadeProduct make(const Product& product, Workspace& workspace);

  /// Whether x is the result of `other`.
  bool follows(const RowProduct& other) const {
    return spec_.a == other.epilogue_.results[0].data && spec_.k == other.spec_.n;
  }

  /// With `next`, which follows this one, both run in turns: as soon as kDepth results are computed, `next` multiplies
  /// them. The next run reads both matrices in the opposite order. If they do not fit into a cache together, part of
  /// them is then still there, which would not be so if one ran after the other.
  void run(RowProduct* next = nullptr);

 private:
  static constexpr std::int64_t kDepth = 128;

  explicit RowProduct(const Product& product);
  bool pack();
  void split_row(std::int64_t depth);
  const std::int16_t* block(std::int64_t quad, std::int64_t depth) const;
  void multiply(std::int64_t quad, std::int64_t depth, const std::int16_t* next_block);
  void finish(std::int64_t part);

  BoundMatmul spec_;
  BoundChain epilogue_;
  std::int64_t group_;              // outputs per vector
  std::int64_t groups_, quads_;     // groups of outputs; a quad is four groups
  std::int64_t depths_, parts_;     // runs of kDepth elements of x, and of kDepth outputs
  bool backwards_ = true;           // whether the last run read the matrix backwards
  Buffer weights_;                  // w as int16 in blocks [kDepth / 2, groups of a quad, group, 2], quad by quad
  Buffer factors_;                  // scales of the outputs
  Buffer high_, low_;               // the digits of x
  std::vector<float> row_factors_;  // scales of the digits, per run of kDepth elements
  Buffer partial_sums_, sums_;      // [depths, groups * group], [outputs]
  std::vector<std::function<void()>> epilogues_;  // for each part, applied to its sums
};

}  // namespace gan::runtime::cpu
